import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import type * as Host from './lib/host.ts'
import type * as Load from './lib/load.ts'
import { heading, median, row } from './lib/host.ts'
import { medianInterval } from './lib/interval.ts'
import { withLog, withNats } from './lib/nats.ts'

/*
 * Is this checkout slower than another one? Runs the task of `bench/task.ts` in both, alternately, each in its own process and on
 * an empty log. Prints the median ratio of the pairs and its 95 % interval, so that a drifting machine does not matter. A ratio
 * above 1 means that this checkout is better.
 *
 *     git worktree add ../base COMMIT && (cd ../base && npm ci)
 *     node bench/pairs.ts --base ../base [--pairs 10] [--tasks 2000] [--bus sqlite|nats] [--shapes program,script,loop]
 */

const { values } = parseArgs({
  options: {
    base: { type: 'string', default: '../base' },
    pairs: { type: 'string', default: '10' },
    tasks: { type: 'string', default: '2000' },
    bus: { type: 'string', default: 'sqlite' },
    shapes: { type: 'string', default: 'program,script,loop' },
    /** For the child process: the checkout, the shape and the number of processes to measure. */
    measure: { type: 'string' },
    shape: { type: 'string', default: '' },
    processes: { type: 'string', default: '1' },
  },
})
const here = join(import.meta.dirname, '..')
const run = promisify(execFile)

if (values.measure !== undefined) console.log(JSON.stringify(await measure(values.measure)))
else await compare()

/** One measurement with the code of a checkout. */
async function measure(checkout: string): Promise<Load.Figures> {
  const load = <T>(file: string) => import(pathToFileURL(join(checkout, 'bench/lib', file)).href) as Promise<T>
  const { host, hostElsewhere, stopChild, withHome } = await load<typeof Host>('host.ts')
  const { figuresOf, tasksOf } = await load<typeof Load>('load.ts')
  const isSplit = values.processes === '2'
  return withHome(async home => {
    const elsewhere = isSplit ? [await hostElsewhere(home, ['tools'], values.bus)] : []
    const running = await host(home, isSplit ? ['agents', 'models'] : ['agents', 'models', 'tools'], values.bus)
    try {
      return await figuresOf(tasksOf(running.bus, `bench.${values.shape}`), Number(values.tasks))
    } finally {
      await running.stop()
      for (const child of elsewhere) await stopChild(child)
    }
  })
}

async function compare() {
  const base = resolve(values.base)
  const pairs = Number(values.pairs)
  console.log(`node ${process.version}, ${await commit(here)} against ${await commit(base)}, ${pairs} pairs\n`)
  heading(['bus', 'shape', 'processes', 'p50 alone', 'tasks/s at 32', 'tasks/s at 256', 'tasks/s at 256, medians'])
  const counts = values.bus === 'nats' ? [2] : [1, 2]
  for (const shape of values.shapes.split(','))
    for (const processes of counts) {
      const mine: Load.Figures[] = []
      const others: Load.Figures[] = []
      for (let i = 0; i < pairs; i++) {
        // The order alternates, because the first may warm the disk for the second.
        for (const [
          figures,
          checkout,
        ] of i % 2 ? ([[mine, here], [others, base]] as const) : ([[others, base], [mine, here]] as const)) // biome-ignore format: one line
          figures.push(await measured(checkout, shape, processes))
      }
      const ratio = (of: (mine: Load.Figures, other: Load.Figures) => number) =>
        medianInterval(mine.map((each, i) => of(each, others[i]!)))
      row([
        values.bus, shape, processes, ratio((a, b) => b.p50 / a.p50), ratio((a, b) => a.at32 / b.at32),
        ratio((a, b) => a.at256 / b.at256),
        `${median(mine.map(each => each.at256)).toFixed(0)} against ${median(others.map(each => each.at256)).toFixed(0)}`,
      ]) // biome-ignore format: one row
    }
}

function measured(checkout: string, shape: string, processes: number): Promise<Load.Figures> {
  const child = async (bus: string) => {
    const args = ['--measure', checkout, '--shape', shape, '--processes', `${processes}`, '--tasks', values.tasks]
    const { stdout } = await run(process.execPath, [import.meta.filename, ...args, '--bus', bus], { cwd: checkout })
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Load.Figures
  }
  if (values.bus === 'sqlite') return child('sqlite')
  return withNats(values.bus, 'default', server => withLog(server, child))
}

async function commit(checkout: string): Promise<string> {
  return (await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: checkout })).stdout.trim()
}
