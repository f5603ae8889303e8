import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import { asRequested } from '../tasks/effects.ts'
import { turnType } from '../tasks/turn.ts'
import { between, spentBy } from './outcome.ts'
import { publisherOf } from './publisher.ts'
import type { Spent } from './tree.ts'

/** Counts per second are over so many seconds, what tools and models did is over a minute. */
const rateSeconds = 10
const keptSeconds = 60
/** Requests whose answer may still be matched; of more the oldest are given up. */
const mostOpen = 20_000
const mostTimes = 1_000

/** What happens on a log, per second. */
export interface Activity extends Spent {
  readonly perSecond: number
  /** The most frequent first. */
  readonly types: { readonly type: string; readonly perSecond: number }[]
  /** Tasks, per second. Ended is what completed, failed or was cancelled. */
  readonly started: number
  readonly ended: number
  /** The slowest first. */
  readonly tools: Service[]
  readonly models: Service[]
}

/** What a tool or a model did in the last minute; times in ms, from the request to the answer. */
export interface Service {
  readonly name: string
  readonly calls: number
  readonly failed: number
  /** Attempts that failed and are retried. */
  readonly retries: number
  readonly p50: number
  readonly p95: number
}

interface Second extends Spent {
  readonly types: Map<string, number>
  tokens: number
  cost: number
  started: number
  ended: number
  readonly retries: { readonly kind: string; readonly name: string }[]
  readonly answers: { readonly kind: string; readonly name: string; readonly failed: boolean; readonly ms: number }[]
}

/** Counts events as they come. Holds no more than a minute of them, and of that no more than what it counts. */
export class Rates {
  readonly #seconds = new Map<number, Second>()
  readonly #open = new Map<string, CloudEvent>()
  readonly #since: number

  /** `since`: from this moment on all events are counted, ms since the epoch. */
  constructor(since: number) {
    this.#since = since
  }

  /** `at`: when it happened, ms since the epoch. */
  add(recorded: CloudEvent, at: number): void {
    const event = asRequested(recorded)
    const second = this.#second(at)
    const { type, id, call } = event
    second.types.set(type, (second.types.get(type) ?? 0) + 1)
    const { tokens, cost } = spentBy([event])
    second.tokens += tokens
    second.cost += cost
    if (type === turnType && parseId(id)?.version === 1) second.started++
    if (/^agent\.task\.(completed|failed|cancelled)$/.test(type)) second.ended++
    const [, kind, what] = /^(tool|model)\.(invoke|delayed|result|failed)$/.exec(type) ?? []
    if (kind === undefined) return
    if (what === 'invoke') return this.#ask(event)
    if (what === 'delayed') {
      const name = publisherOf(event.source).name
      if (second.retries.length < mostTimes) second.retries.push({ kind, name })
      return
    }
    const request = call === undefined ? undefined : this.#open.get(call)
    if (!request || second.answers.length >= mostTimes) return
    this.#open.delete(request.id)
    second.answers.push({ kind, name: request.target ?? '?', failed: what === 'failed', ms: between(request, event) })
  }

  activity(now: number): Activity {
    const newest = Math.floor(now / 1_000)
    for (const second of this.#seconds.keys()) if (second <= newest - keptSeconds) this.#seconds.delete(second)
    const minute = [...this.#seconds.values()]
    const recent = [...this.#seconds].filter(([second]) => second > newest - rateSeconds).map(([, counted]) => counted)
    // The second that has just begun counts for as long as it has lasted.
    const whole = (now - (newest - rateSeconds + 1) * 1_000) / 1_000
    const seconds = Math.max(1, Math.min(whole, (now - this.#since) / 1_000))
    const rate = (count: (second: Second) => number) => recent.reduce((sum, second) => sum + count(second), 0) / seconds
    const types = [...new Set(recent.flatMap(second => [...second.types.keys()]))]
    return {
      perSecond: rate(second => second.types.values().reduce((sum, n) => sum + n, 0)),
      types: types
        .map(type => ({ type, perSecond: rate(second => second.types.get(type) ?? 0) }))
        .sort((a, b) => b.perSecond - a.perSecond || (a.type < b.type ? -1 : 1)),
      started: rate(second => second.started),
      ended: rate(second => second.ended),
      tools: services(minute, 'tool'),
      models: services(minute, 'model'),
      tokens: minute.reduce((sum, { tokens }) => sum + tokens, 0),
      cost: minute.reduce((sum, { cost }) => sum + cost, 0),
    }
  }

  #ask(request: CloudEvent): void {
    if (this.#open.size >= mostOpen) this.#open.delete(this.#open.keys().next().value!)
    // The data is not needed, and may be large.
    this.#open.set(request.id, { ...request, data: null })
  }

  #second(at: number): Second {
    const key = Math.floor(at / 1_000)
    let second = this.#seconds.get(key)
    if (!second)
      this.#seconds.set(
        key,
        (second = { types: new Map(), tokens: 0, cost: 0, started: 0, ended: 0, retries: [], answers: [] }),
      )
    return second
  }
}

function services(seconds: readonly Second[], kind: string): Service[] {
  const answers = Map.groupBy(
    seconds.flatMap(second => second.answers).filter(answer => answer.kind === kind),
    ({ name }) => name,
  )
  const retries = Map.groupBy(
    seconds.flatMap(second => second.retries).filter(retry => retry.kind === kind),
    ({ name }) => name,
  )
  return [...new Set([...answers.keys(), ...retries.keys()])]
    .map(name => {
      const all = answers.get(name) ?? []
      const times = all.map(({ ms }) => ms).sort((a, b) => a - b)
      const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
      return {
        name,
        calls: all.length,
        failed: all.filter(({ failed }) => failed).length,
        retries: retries.get(name)?.length ?? 0,
        p50: at(0.5),
        p95: at(0.95),
      }
    })
    .sort((a, b) => b.p95 - a.p95 || (a.name < b.name ? -1 : 1))
}
