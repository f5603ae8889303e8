import { on, workflow } from '../src/index.ts'
import { CompiledWorkflow } from '../src/workflows/compile.ts'
import { Instance } from '../src/workflows/instance.ts'
import { mib } from './lib/host.ts'

/*
 * How many events per second does the matcher handle, without engine and log, and what does a waiting instance cost? Every
 * instance has a definition of 100 steps; each event is for a different instance.
 * `node --expose-gc bench/matcher.ts [INSTANCES] [EVENTS]`
 */

const [instances, events] = [Number(process.argv[2] ?? 1_000_000), Number(process.argv[3] ?? 1_000_000)]
const steps = 100

let definition = workflow('long', { on: 'step.0', within: 'forever' })
for (let i = 1; i < steps; i++) definition = definition.when(`step ${i}`, on(`step.${i}`), { within: '1d' })
const code = new CompiledWorkflow(definition.data)

globalThis.gc?.()
const before = process.memoryUsage()
const waiting = Array.from({ length: instances }, () => new Instance(code))
let id = 0
const hear = (instance: Instance, step: number) =>
  instance.receive({ id: `event-${id++}`, type: `step.${step}`, data: { n: id } }, id)
for (const instance of waiting) hear(instance, 0)
globalThis.gc?.()
const after = process.memoryUsage()
const perInstance = (after.heapUsed - before.heapUsed) / instances
console.log(`${instances} instances are waiting: ${Math.round(perInstance)} B of heap each, RSS ${mib(after.rss)} MiB`)
console.log(`as JSON in a snapshot: ${JSON.stringify(waiting[0]!.state).length} B`)

const at = new Uint8Array(instances).fill(1)
// The stride is coprime with the number of instances: each event meets a distant instance.
let next = 0
const begin = performance.now()
for (let i = 0; i < events; i++) {
  next = (next + 982_451_653) % instances
  if (at[next]! < steps) hear(waiting[next]!, at[next]!++)
}
const perSecond = events / ((performance.now() - begin) / 1_000)
console.log(`${events} events, each for a different instance: ${Math.round(perSecond)}/s on one core`)

// Through the whole definition: the cost of the hundredth event beside the second.
const rounds = 2_000
const cost = new Float64Array(steps)
for (let round = 0; round < rounds; round++) {
  const instance = new Instance(code)
  for (let step = 0; step < steps; step++) {
    const start = performance.now()
    hear(instance, step)
    cost[step]! += performance.now() - start
  }
}
const microseconds = (from: number, to: number) =>
  (cost.slice(from, to).reduce((sum, each) => sum + each, 0) / (to - from) / rounds) * 1_000
console.log(
  `an event near the beginning: ${microseconds(1, 11).toFixed(2)} µs, near the end: ${microseconds(89, 99).toFixed(2)} µs`,
)
