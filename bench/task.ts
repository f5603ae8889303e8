import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { closedLoop } from './lib/load.ts'
import { host, hostElsewhere, median, stopChild, withHome } from './lib/host.ts'
import { rawLoop } from './lib/raw.ts'

/*
 * How fast is a task of three no-op tool calls (300 B of JSON) with a no-op model between, on the embedded log with
 * synchronous=FULL? In three shapes: `program` (a bare program that plays its model itself, as the peers' benches do),
 * `script` (straight-line code) and `loop` (an LLM agent: every model call is a request and an answer on the log, too).
 *
 *     node bench/task.ts [--repeats 5] [--shapes program,script,loop] [--tasks 8000]
 */

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    shapes: { type: 'string', default: 'program,script,loop' },
    tasks: { type: 'string', default: '8000' },
    traced: { type: 'string' },
  },
})
const shapes = values.shapes.split(',')
const tasks = Number(values.tasks)

if (values.traced) await withHome(home => count(home, values.traced!))
else await compare()

async function compare() {
  console.log(
    `node ${process.version}, ${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}, ${values.repeats} repeats: median (lowest to highest)\n`,
  )
  console.log(
    '| shape | processes | p50 alone, ms | p99 alone, ms | tasks/s at 32 | tasks/s at 256 | raw loop, same rows | of it | fsyncs/task at 256 |',
  )
  console.log('|---|---|---|---|---|---|---|---|---|')
  for (const shape of shapes)
    for (const processes of [1, 2]) {
      const runs = []
      for (let i = 0; i < Number(values.repeats); i++) runs.push(await withHome(home => run(home, shape, processes)))
      const raw = median(runs.map(each => each.raw))
      const most = median(runs.map(each => each.at256))
      const cells = [
        shape, processes, spread(runs.map(each => each.p50), 2), spread(runs.map(each => each.p99), 1),
        spread(runs.map(each => each.at32)), spread(runs.map(each => each.at256)), Math.round(raw), (most / raw).toFixed(2),
        processes === 1 ? fsyncs(shape) : '',
      ] // biome-ignore format: one row
      console.log(`| ${cells.join(' | ')} |`)
    }
}

async function run(home: string, shape: string, processes: number) {
  const elsewhere = processes === 2 ? [await hostElsewhere(home, ['tools'])] : []
  const here = await host(home, processes === 2 ? ['agents', 'models'] : ['agents', 'models', 'tools'])
  try {
    const type = `bench.${shape}`
    await closedLoop(here.bus, type, 500, 32)
    const { p50, p99 } = await closedLoop(here.bus, type, 300, 1)
    const { perSecond: at32 } = await closedLoop(here.bus, type, tasks / 2, 32)
    const { perSecond: at256 } = await closedLoop(here.bus, type, tasks, 256)
    return { p50, p99, at32, at256, raw: await rawLoop(await rowsOfOne(), tasks, 256) }
  } finally {
    await here.stop()
    for (const child of elsewhere) await stopChild(child)
  }

  /** What the log holds of the last task. */
  async function rowsOfOne() {
    const rows = []
    const head = await here.bus.driver.head()
    let correlation = ''
    for await (const { event } of here.bus.read({ after: head - 1 })) correlation = event.correlationid
    for await (const { event } of here.bus.read({ correlation }))
      rows.push({ id: event.id.slice(36), type: event.type, json: JSON.stringify(event) })
    return rows
  }
}

/** Runs tasks and prints nothing: for the system-call counter around it. */
async function count(home: string, shape: string) {
  const here = await host(home, ['agents', 'models', 'tools'])
  await closedLoop(here.bus, `bench.${shape}`, 2_000, 256)
  await here.stop()
}

function fsyncs(shape: string): string {
  const file = join(tmpdir(), `tidings-fsyncs-${process.pid}`)
  try {
    const command = [
      '-f',
      '-c',
      '-e',
      'trace=fdatasync,fsync',
      '-o',
      file,
      process.execPath,
      import.meta.filename,
      '--traced',
      shape,
    ]
    execFileSync('strace', command, { stdio: 'ignore' })
    const calls = [...readFileSync(file, 'utf8').matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*f(?:data)?sync$/gm)]
    return (calls.reduce((sum, [, n]) => sum + Number(n), 0) / 2_000).toFixed(2)
  } catch {
    return 'needs strace'
  } finally {
    rmSync(file, { force: true })
  }
}

function spread(values: readonly number[], digits = 0): string {
  const show = (value: number) => value.toFixed(digits)
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`
}
