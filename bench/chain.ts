import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { postJson } from './lib/chain/caller.ts'
import { startChain, startModel, startTidings, type Contender, type ModelServer } from './lib/chain/contenders.ts'
import { modelCallsPerTask } from './lib/chain/task.ts'
import { openLoop } from './lib/chain/users.ts'
import { heading, row, withHome } from './lib/host.ts'
import { withLog, withNats } from './lib/nats.ts'

/*
 * What does an event log gain under load and faults, against a synchronous chain? Five agents with 12 calls, of which 8 go to a model of 300 ms
 * (log-normal, 8 at once), as a chain of services over HTTP and MCP, and on Tidings; two processes of each kind. Users arrive at a fixed rate, a multiple of the
 * capacity, and ask until their task is done or 60 s have passed. Unless `--faults off`, a process is killed every ten seconds and one tool
 * takes 5 s instead of 20 ms for six seconds of every twenty.
 *
 *     node bench/chain.ts [--loads 0.1,0.5,1,2,5,10] [--seconds 60] [--slots 8] [--bus sqlite|nats] [--faults on|off]
 *                         [--contenders chain,tidings] [--admit 48] [--repeats 1]
 *
 * `chain` and `tidings` are tuned. `plain-chain` and `plain-tidings` are what one writes first: no admission control, no deadline, no limit, retries as
 * libraries have them.
 */

const { values } = parseArgs({
  options: {
    loads: { type: 'string', default: '0.1,0.5,1,2,5,10' },
    seconds: { type: 'string', default: '60' },
    slots: { type: 'string', default: '8' },
    bus: { type: 'string', default: 'sqlite' },
    sync: { type: 'string', default: 'default' },
    faults: { type: 'string', default: 'on' },
    contenders: { type: 'string', default: 'chain,tidings' },
    /** Tasks at once. */
    admit: { type: 'string', default: '48' },
    repeats: { type: 'string', default: '1' },
  },
})
const slots = Number(values.slots)
const seconds = Number(values.seconds)
const admit = Number(values.admit)
const killEveryMs = 10_000
const beginningMs = 10_000
const slowFor = { of: 20_000, ms: 6_000 }

const perSecond = await capacity()
console.log(
  `node ${process.version}, ${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}, ${values.bus}, faults ${values.faults}; ` +
    `capacity ${perSecond.toFixed(2)} tasks/s; each load for ${seconds} s\n`,
)
heading([
  'load', 'contender', 'asked', 'done within 60 s', 'done/s under load', 'share of the possible', 'p50, s', 'p95, s', 'p99, s', 'only refused', 'late or failed',
  'broken attempts', 'model calls / needed', 'model refusals', 'accepted and not ended', 'CPU per done task, ms', 'load average',
]) // biome-ignore format: one row
for (const load of values.loads.split(',').map(Number))
  for (let i = 0; i < Number(values.repeats); i++)
    for (const name of values.contenders.split(',')) await measure(name, load)

/** Tasks per second that the model can serve, measured with all its slots busy and no agent. */
async function capacity(): Promise<number> {
  const model = await startModel(slots, 0)
  const until = Date.now() + 8_000
  let answered = 0
  const { signal } = new AbortController()
  const caller = async () => {
    for (; Date.now() < until; answered++)
      await postJson(`${model.url}/model`, { prompt: 'x'.repeat(400), tools: [] }, signal)
  }
  await Promise.all(Array.from({ length: slots }, caller))
  await model.stop()
  return answered / 8 / modelCallsPerTask
}

async function measure(name: string, load: number): Promise<void> {
  const model = await startModel(slots, slots * 8)
  const options = { modelUrl: model.url, slots, admit, isTuned: !name.startsWith('plain-') }
  try {
    if (name.endsWith('chain')) await run(name, load, model, await startChain(options))
    else if (values.bus === 'sqlite')
      await withHome(async home => run(name, load, model, await startTidings(home, 'sqlite', options)))
    else
      await withNats(values.bus, values.sync, server =>
        withLog(server, bus => withHome(async home => run(name, load, model, await startTidings(home, bus, options)))),
      )
  } finally {
    await model.stop()
  }
}

async function run(name: string, load: number, model: ModelServer, contender: Contender): Promise<void> {
  try {
    // Opens connections and compiles.
    await openLoop(contender.urls, Math.min(4, perSecond), 2)
    const before = await model.counts()
    // Of killed processes it is not known.
    const cpuBefore = values.faults === 'on' ? undefined : contender.cpuSeconds()
    const faults = new AbortController()
    const ended = pause(seconds * 1_000).then(() => faults.abort())
    if (values.faults === 'on') void inject(contender, faults.signal)
    const begin = Date.now()
    const { asked, good, refused, late, broken } = await openLoop(contender.urls, perSecond * load, seconds)
    const cpu = cpuBefore === undefined ? undefined : contender.cpuSeconds() - cpuBefore
    await ended
    const after = await model.counts()
    const unfinished = await contender.unfinished()
    const sorted = good.map(({ ms }) => ms).toSorted((a, b) => a - b)
    // While the load lasts, without the beginning, in which the first tasks are on their way.
    const counted = good.filter(({ at }) => at >= begin + beginningMs && at < begin + seconds * 1_000)
    const rate = counted.length / (seconds - beginningMs / 1_000)
    const at = (share: number) =>
      sorted.length === 0 ? '' : (sorted[Math.floor((sorted.length - 1) * share)]! / 1_000).toFixed(1)
    row([
      load, name, asked, good.length, rate.toFixed(2), (rate / Math.min(perSecond, perSecond * load)).toFixed(2), at(0.5), at(0.95), at(0.99), refused,
      late, broken, ((after.started - before.started) / (good.length * modelCallsPerTask)).toFixed(2), after.refused - before.refused, unfinished ?? '',
      cpu === undefined ? '' : Math.round((cpu / good.length) * 1_000),
      loadavg()[0]!.toFixed(1),
    ]) // biome-ignore format: one row
  } finally {
    await contender.stop()
  }
}

/** Kills a process every ten seconds, in turn, and makes a tool slow from time to time. */
async function inject({ victims, tools }: Contender, signal: AbortSignal): Promise<void> {
  const begin = Date.now()
  const slow = (isSlow: boolean) => {
    for (const each of tools) each.slow(isSlow)
  }
  const timers = new Set<NodeJS.Timeout>()
  for (let at = killEveryMs / 2, i = 0; at < seconds * 1_000; at += killEveryMs, i++)
    timers.add(setTimeout(() => victims[i % victims.length]!.kill(), begin + at - Date.now()))
  for (let at = slowFor.of / 4; at < seconds * 1_000; at += slowFor.of) {
    timers.add(setTimeout(() => slow(true), begin + at - Date.now()))
    timers.add(setTimeout(() => slow(false), begin + at + slowFor.ms - Date.now()))
  }
  signal.addEventListener('abort', () => {
    for (const timer of timers) clearTimeout(timer)
    slow(false)
  })
}
