import { TestClock } from '../../src/testing/clock.ts'
import { until } from '../../src/testing/wait.ts'
import { sleepers } from './sleepers.ts'

/*
 * A worker in the time zone of its environment, which lives through the moment at which the local time is changed there:
 * a task falls asleep half an hour before, for an hour. Says on stdout what the timer did.
 */

export interface Night {
  /** Minutes by which the local time is ahead of UTC. */
  readonly offsets: [before: number, after: number]
  readonly firedEarly: number
  readonly fired: number
  /** Ms between falling asleep and waking, by the clock. */
  readonly slept: number
}

const [home, bus, change] = process.argv.slice(2) as [string, string, string]
const minute = 60_000
const clock = new TestClock()
clock.set(Date.parse(change) - 30 * minute)
const offset = () => -new Date(clock.now()).getTimezoneOffset()
const before = offset()
const worker = await sleepers({ home, bus }, clock)
const began = clock.now()
const task = await worker.sleep(60 * minute)
clock.set(began + 59 * minute)
const marker = await worker.sleep(1)
await until(async () => (await worker.fired(marker)).length > 0)
const early = await worker.fired(task)
clock.set(began + 60 * minute)
const fired = await until(async () => {
  const seen = await worker.fired(task)
  return seen.length > 0 && seen
})
await worker.stop()
const night: Night = {
  offsets: [before, offset()],
  firedEarly: early.length,
  fired: fired.length,
  slept: fired[0]!.at - began,
}
console.log(JSON.stringify(night))
