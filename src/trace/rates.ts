import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import { asCalled } from '../tasks/effects.ts'
import { turnType } from '../tasks/turn.ts'
import { between, usageOf } from './outcome.ts'
import { publisherOf } from './publisher.ts'
import type { TraceUsage } from './tree.ts'

/** Rates per second average over `rateSeconds`; figures of tools and models cover `windowSeconds`. */
const rateSeconds = 10
const windowSeconds = 60
/** Maximum number of requests without an answer; the oldest are dropped. */
const maxOpenRequests = 20_000
const maxSamples = 1_000

/** Activity of a log. */
export interface Activity extends TraceUsage {
  readonly perSecond: number
  /** Most frequent first. */
  readonly types: { readonly type: string; readonly perSecond: number }[]
  /** Tasks per second. `ended` counts completed, failed and cancelled ones. */
  readonly started: number
  readonly ended: number
  /** Slowest first. */
  readonly tools: ServiceActivity[]
  readonly models: ServiceActivity[]
  /** Agents and workflows that did something in the last minute. */
  readonly programs: ProgramActivity[]
}

/** Activity of an agent or a workflow in the last minute. */
export interface ProgramActivity {
  readonly name: string
  readonly turns: number
  /** Tasks that completed, failed or were cancelled. */
  readonly ended: number
  readonly failed: number
}

/** Activity of a tool or a model in the last minute. Times in ms from request to answer. */
export interface ServiceActivity {
  readonly name: string
  readonly calls: number
  readonly failed: number
  /** Failed attempts that are retried. */
  readonly retries: number
  readonly p50: number
  readonly p95: number
}

interface Second extends TraceUsage {
  readonly types: Map<string, number>
  tokens: number
  cost: number
  started: number
  ended: number
  readonly retries: { readonly kind: string; readonly name: string }[]
  /** By name. */
  readonly programs: Map<string, ProgramCounts>
  readonly answers: { readonly kind: string; readonly name: string; readonly failed: boolean; readonly ms: number }[]
}

/** Counts events of the last minute in bounded memory. */
export class Rates {
  readonly #seconds = new Map<number, Second>()
  readonly #open = new Map<string, CloudEvent>()
  readonly #since: number

  /** @param since start of counting, ms since the epoch */
  constructor(since: number) {
    this.#since = since
  }

  /** @param at time of the event, ms since the epoch */
  add(recorded: CloudEvent, at: number): void {
    const event = asCalled(recorded)
    const second = this.#second(at)
    const { type, id, call } = event
    second.types.set(type, (second.types.get(type) ?? 0) + 1)
    const { tokens, cost } = usageOf([event])
    second.tokens += tokens
    second.cost += cost
    if (type === turnType && parseId(id)?.version === 1) second.started++
    const isEnd = /^agent\.task\.(completed|failed|cancelled)$/.test(type)
    if (isEnd) second.ended++
    if (isEnd || type === turnType) {
      const counts = countsOf(second.programs, publisherOf(event.source).name)
      if (isEnd) counts.ended++
      else counts.turns++
      if (type === 'agent.task.failed') counts.failed++
    }
    const [, kind, what] = /^(tool|model)\.(invoke|delayed|result|failed)$/.exec(type) ?? []
    if (kind === undefined) return
    if (what === 'invoke') return this.#ask(event)
    if (what === 'delayed') {
      const name = publisherOf(event.source).name
      if (second.retries.length < maxSamples) second.retries.push({ kind, name })
      return
    }
    const request = call === undefined ? undefined : this.#open.get(call)
    if (!request || second.answers.length >= maxSamples) return
    this.#open.delete(request.id)
    second.answers.push({ kind, name: request.target ?? '?', failed: what === 'failed', ms: between(request, event) })
  }

  activity(now: number): Activity {
    const newest = Math.floor(now / 1_000)
    for (const second of this.#seconds.keys()) if (second <= newest - windowSeconds) this.#seconds.delete(second)
    const minute = [...this.#seconds.values()]
    const recent = [...this.#seconds].filter(([second]) => second > newest - rateSeconds).map(([, counted]) => counted)
    // The current second counts only for the part that has passed.
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
      programs: programs(minute),
      tokens: minute.reduce((sum, { tokens }) => sum + tokens, 0),
      cost: minute.reduce((sum, { cost }) => sum + cost, 0),
    }
  }

  #ask(request: CloudEvent): void {
    if (this.#open.size >= maxOpenRequests) this.#open.delete(this.#open.keys().next().value!)
    // The data is not needed, and may be large.
    this.#open.set(request.id, { ...request, data: null })
  }

  #second(at: number): Second {
    const key = Math.floor(at / 1_000)
    let second = this.#seconds.get(key)
    if (!second)
      this.#seconds.set(
        key,
        (second = {
          types: new Map(),
          tokens: 0,
          cost: 0,
          started: 0,
          ended: 0,
          retries: [],
          programs: new Map(),
          answers: [],
        }),
      )
    return second
  }
}

type ProgramCounts = { -readonly [Name in keyof Omit<ProgramActivity, 'name'>]: number }

function countsOf(programs: Map<string, ProgramCounts>, name: string): ProgramCounts {
  const counts = programs.get(name) ?? { turns: 0, ended: 0, failed: 0 }
  programs.set(name, counts)
  return counts
}

function programs(seconds: readonly Second[]): ProgramActivity[] {
  const sums = new Map<string, ProgramCounts>()
  for (const second of seconds)
    for (const [name, { turns, ended, failed }] of second.programs) {
      const sum = countsOf(sums, name)
      sum.turns += turns
      sum.ended += ended
      sum.failed += failed
    }
  return [...sums]
    .map(([name, counts]) => ({ name, ...counts }))
    .sort((a, b) => b.turns - a.turns || (a.name < b.name ? -1 : 1))
}

function services(seconds: readonly Second[], kind: string): ServiceActivity[] {
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
