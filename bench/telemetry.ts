import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { circumstances, heading, host, median, row, spread, withHome } from './lib/host.ts'
import { closedLoop } from './lib/load.ts'

/*
 * What does observability cost? Tasks of three no-op tool calls, 256 in flight, in one process on the embedded log: with
 * no SDK registered (the API is always there), with one that samples nothing, with one that exports every span to a
 * receiver in another process, and with one whose receiver does not answer.
 *
 *     node bench/telemetry.ts [--repeats 5] [--tasks 6000] [--shape program]
 *
 * CPU time per task is the figure to look at: it does not depend on what else the machine does.
 */

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    tasks: { type: 'string', default: '6000' },
    shape: { type: 'string', default: 'program' },
    role: { type: 'string', default: 'compare' },
  },
})
const tasks = Number(values.tasks)

interface Run {
  perSecond: number
  cpu: number
}

if (values.role === 'receiver') await receive()
else if (values.role === 'work') console.log(JSON.stringify(await withHome(work)))
else await compare()

async function compare() {
  const receiver = fork(import.meta.filename, ['--role', 'receiver'])
  const [url] = (await once(receiver, 'message')) as [string]
  const endpoint = (to: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: to })
  const contenders: Record<string, Record<string, string>> = {
    'no SDK': {},
    'SDK, nothing sampled': { ...endpoint(url), OTEL_TRACES_SAMPLER: 'always_off' },
    'SDK, all exported': endpoint(url),
    'SDK, collector unreachable': endpoint('http://127.0.0.1:9'),
  }
  const runs = new Map<string, Run[]>(Object.keys(contenders).map(name => [name, []]))
  for (let i = 0; i < Number(values.repeats); i++)
    for (const [name, env] of Object.entries(contenders)) runs.get(name)!.push(inChild(env))
  receiver.disconnect()
  console.log(`${circumstances(Number(values.repeats))}, ${values.shape}\n`)
  heading(['', 'tasks/s at 256', 'CPU per task, ms', 'CPU relative to no SDK'])
  const least = median(runs.get('no SDK')!.map(({ cpu }) => cpu))
  for (const [name, of] of runs) {
    const cpu = of.map(run => run.cpu)
    row([name, spread(of.map(({ perSecond }) => perSecond)), spread(cpu, 3), (median(cpu) / least).toFixed(2)])
  }
}

function inChild(env: Record<string, string>): Run {
  const args = [import.meta.filename, '--role', 'work', '--tasks', values.tasks, '--shape', values.shape]
  const out = execFileSync(process.execPath, args, {
    env: { ...process.env, TIDINGS_LOG_LEVEL: 'silent', NODE_NO_WARNINGS: '1', ...env },
    encoding: 'utf8',
  })
  return JSON.parse(out) as Run
}

async function work(home: string): Promise<Run> {
  const here = await host(home, ['agents', 'models', 'tools'])
  await closedLoop(here.bus, `bench.${values.shape}`, 1_000, 256)
  const before = process.cpuUsage()
  const { perSecond } = await closedLoop(here.bus, `bench.${values.shape}`, tasks, 256)
  const { user, system } = process.cpuUsage(before)
  await here.stop()
  return { perSecond, cpu: (user + system) / 1_000 / tasks }
}

/** Takes what it is sent and throws it away. */
async function receive() {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address() as { port: number }
  process.send!(`http://127.0.0.1:${address.port}`)
  process.once('disconnect', () => process.exit())
}
