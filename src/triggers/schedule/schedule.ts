import { assertCustomType } from '../../bus/admit.ts'
import type { Bus } from '../../bus/bus.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { clockPollIntervalMs, type Now } from '../../bus/clock.ts'
import { settledOrAborted } from '../../bus/abort.ts'
import { textOf, TidingsError } from '../../errors.ts'
import type { EventType } from '../../event.ts'
import { anything, aText, checkOptions, type Check } from '../../options.ts'
import { validateNow } from '../../schema.ts'
import type { Duration } from '../../tasks/duration.ts'
import { publishFiring, publishSample, type ScheduledEvent } from './firing.ts'
import {
  initialProgress,
  type CatchUp,
  planFirings,
  type ScheduleProgress,
  type TimeRange,
  withFired,
  withSkipped,
} from './plan.ts'
import { cronRule, intervalRule, type ScheduleRule } from './rule.ts'
import { assertTriggerName, type Trigger } from '../trigger.ts'

/** When a schedule fires, and what it publishes. */
export interface ScheduleOptions<Given = unknown> {
  /** Five fields, or six with seconds first: `0 3 * * *`. Either this or `every`. */
  cron?: string
  /** An interval of at least a second, counted from 1970: `15m` is due at 0, 15, 30 and 45 minutes past the hour. */
  every?: Duration
  /** Time zone of `cron`, such as `Europe/Berlin`. Default UTC. */
  zone?: string
  /** Which due times to fire that were missed while no worker ran: none, the last, or all, at most 1,000. Default `last`. */
  catchUp?: CatchUp
  /** A type of your own instead of `schedule.fired`, with `data` as its data. */
  type?: EventType<unknown, Given>
  data?: Given
}

/** A signal: a schedule has no outside to send a sample from, so it asks the worker that runs it. */
const sampleRequestType = 'trigger.sample'

/** For tests. */
interface Clock {
  now: Now
  pollIntervalMs: number
}

const checks = {
  cron: aText,
  every: anything,
  zone: aText,
  catchUp: anything,
  type: anything,
  data: anything,
} satisfies Record<keyof ScheduleOptions, Check>

const systemClock: Clock = { now: Date.now, pollIntervalMs: clockPollIntervalMs }

/**
 * Publishes one event for each due time, however many processes run the schedule. `docs/triggers/schedule.md` describes
 * daylight saving time, clocks that jump, and missed due times.
 * @throws E_APP_INVALID, E_EVENT_INVALID
 * @example
 * const nightly = schedule('nightly', { cron: '0 2 * * *', zone: 'Europe/Oslo' })
 * const report = agent('report', { on: 'schedule.fired', run: (_, { due }) => due })
 */
export function schedule<Given>(name: string, options: ScheduleOptions<Given>, clock: Clock = systemClock): Trigger {
  assertTriggerName(name)
  checkOptions(`schedule "${name}"`, options, checks, [])
  const rule = parseRule(options)
  const event = scheduledEvent(options)
  const { catchUp = 'last' } = options
  if (!['none', 'last', 'all'].includes(catchUp))
    throw new TidingsError(
      'E_APP_INVALID',
      `unknown catchUp "${catchUp}" of schedule "${name}"; expected none, last or all`,
    )
  const address = `schedule:${name} ${rule.text}`
  return {
    kind: 'trigger',
    name,
    types: [event.type],
    address,
    sendSample: async bus => bus.signal({ type: sampleRequestType, subject: name, data: null }),
    start: async bus => {
      const running = new RunningSchedule({ bus, name, rule, catchUp, event, clock })
      await running.start()
      return { address, stop: abort => running.stop(abort) }
    },
  }
}

function parseRule({ cron, every, zone }: ScheduleOptions): ScheduleRule {
  if (cron !== undefined && every === undefined) return cronRule(cron, zone)
  if (every !== undefined && cron === undefined && zone === undefined) return intervalRule(every)
  throw new TidingsError('E_APP_INVALID', 'a schedule needs either cron, optionally with a zone, or every')
}

function scheduledEvent({ type, data }: ScheduleOptions): ScheduledEvent {
  if (!type) return { type: 'schedule.fired', ...(data !== undefined && { data }) }
  assertCustomType(type.type)
  const checked = validateNow(type.schema, data)
  if ('problem' in checked) throw new TidingsError('E_APP_INVALID', `data of ${type.type}: ${checked.problem}`)
  return { type: type.type, data: data ?? null }
}

/** The clock jumped if two polls differ by more. A due time that is less than this ago is on time. */
const maxGapMs = 60_000

/** A period without a jump of the clock. */
interface WatchPeriod {
  readonly startedAt: number
  readonly from: number
  handledUntil: number
  /** True until its first plan is done. */
  isFirst: boolean
}

interface RunningScheduleOptions {
  readonly bus: Bus
  readonly name: string
  readonly rule: ScheduleRule
  readonly catchUp: CatchUp
  readonly event: ScheduledEvent
  readonly clock: Clock
}

class RunningSchedule {
  readonly #options: RunningScheduleOptions
  #period!: WatchPeriod
  #lastPoll = Number.NaN
  #next: number | undefined
  #inProgress: Promise<void> | undefined
  #hasWarned = false
  #stopPolling: (() => void) | undefined

  constructor(options: RunningScheduleOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { bus, name, clock } = this.#options
    this.#poll()
    // The first poll is recorded on the log, so that due times count from now on, even after a stop.
    await this.#read(this.#period)
    const timer = setInterval(() => this.#poll(), clock.pollIntervalMs)
    const unsubscribe = bus.onSignal([{ types: [sampleRequestType] }], request => {
      if (request.subject === name) void this.#publishSample(request)
    })
    this.#stopPolling = () => {
      unsubscribe()
      clearInterval(timer)
    }
    this.#poll()
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#stopPolling?.()
    this.#stopPolling = undefined
    if (this.#inProgress) await settledOrAborted(this.#inProgress, abort)
  }

  /** Cheap if nothing is due. Continues while the log is unavailable, to notice jumps of the clock. */
  #poll(): void {
    const { clock, rule } = this.#options
    const now = clock.now()
    if (!(Math.abs(now - this.#lastPoll) < maxGapMs)) {
      const from = now - maxGapMs
      this.#period = { startedAt: now, from, handledUntil: from - 1, isFirst: true }
      this.#next = undefined
    }
    this.#lastPoll = now
    if (!this.#stopPolling || this.#inProgress) return
    const period = this.#period
    this.#next ??= rule.next(period.handledUntil) ?? Infinity
    if (!period.isFirst && this.#next > now) return
    this.#inProgress = this.#run(period, now).finally(() => {
      this.#inProgress = undefined
    })
  }

  async #run(period: WatchPeriod, now: number): Promise<void> {
    try {
      const until = await this.#fireDue(period, now)
      this.#hasWarned = false
      if (until === undefined) return
      period.handledUntil = until
      period.isFirst = false
      this.#next = undefined
    } catch (error) {
      if (!this.#hasWarned) this.#warn(`cannot fire now, and will retry: ${textOf(error)}`)
      this.#hasWarned = true
    }
  }

  /** Until when due times are handled; undefined if the plan must be made again. */
  async #fireDue(period: WatchPeriod, now: number): Promise<number | undefined> {
    const { bus, rule, catchUp, clock } = this.#options
    const { from, handledUntil, isFirst } = period
    const { progress, revision } = await this.#read(period)
    const plan = planFirings({ rule, catchUp, progress, from, handledUntil, now })
    let newProgress = plan.skipped ? withSkipped(progress, plan.skipped) : progress
    let isDone = true
    try {
      for (const firing of plan.firings) {
        // The progress is too old to know what others fired meanwhile: a broker remembers ids for only two minutes.
        isDone = Math.abs(clock.now() - now) < maxGapMs
        if (!isDone) break
        await publishFiring(bus, this.#options, firing, isFirst || now - firing.due > maxGapMs)
        newProgress = withFired(rule, newProgress, firing.due)
      }
    } finally {
      // After the events: a crash before this only repeats their ids, which has no effect.
      if (newProgress !== progress) isDone = (await this.#write(newProgress, revision)) > 0 && isDone
    }
    if (isDone && plan.skipped) this.#warnAboutSkipped(plan.skipped)
    return isDone ? plan.until : undefined
  }

  /** The shared progress. A changed rule starts now. */
  async #read({ startedAt, from }: WatchPeriod): Promise<{ progress: ScheduleProgress; revision: number }> {
    const { bus, rule } = this.#options
    const { text, revision } = await bus.documents.readRevision(this.#key)
    const saved = text === undefined ? undefined : (JSON.parse(text) as ScheduleProgress)
    if (saved?.rule === rule.text) return { progress: saved, revision }
    const progress = initialProgress(rule, startedAt, from)
    const written = await this.#write(progress, revision)
    return written ? { progress, revision: written } : this.#read(this.#period)
  }

  /** The new revision; 0 if another process was faster. */
  #write(progress: ScheduleProgress, revision: number): Promise<number> {
    return this.#options.bus.documents.writeText(this.#key, JSON.stringify(progress), revision)
  }

  get #key() {
    return `schedule/${this.#options.name}`
  }

  async #publishSample(request: { id: string }): Promise<void> {
    try {
      await publishSample(this.#options.bus, this.#options, request, this.#options.clock.now())
    } catch (error) {
      this.#warn(`cannot fire the sample: ${textOf(error)}`)
    }
  }

  #warnAboutSkipped([after, until]: TimeRange): void {
    const { rule, catchUp } = this.#options
    const [first, last] = [rule.next(after)!, rule.newest(1, after, until + 1)[0]!]
    const range = first === last ? isoTime(first) : `from ${isoTime(first)} to ${isoTime(last)}`
    this.#warn(`skipped due times ${range}: no worker ran then, and catchUp is ${catchUp}`)
  }

  #warn(text: string): void {
    warn(this.#options.bus.redactor, `schedule ${this.#options.name} ${text}`)
  }
}

const isoTime = (ms: number) => new Date(ms).toISOString()
