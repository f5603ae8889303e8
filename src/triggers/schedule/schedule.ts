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
import { requestSample, onSampleRequest } from './sample-request.ts'
import { assertTriggerName } from '../name.ts'
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
import type { RunningTrigger, Trigger } from '../trigger.ts'

export interface ScheduleOptions<T = unknown> {
  /** Five fields, or six with seconds in front: `0 3 * * *`. This or `every`. */
  cron?: string
  /** Every so often, a second at least, counted from 1970 on: `15m` is due at 0, 15, 30 and 45 minutes past. */
  every?: Duration
  /** Time zone of `cron`, such as `Europe/Berlin`. Default UTC, which is the same on every machine. */
  zone?: string
  /** What becomes of what was due while nobody was there: nothing, the last of it, or all, at most 1,000. Default `last`. */
  catchUp?: CatchUp
  /** A type of your own in place of `schedule.fired`, whose data is `data`. */
  type?: EventType<T>
  data?: T
}

/** For tests: the clock, and how often in ms it is looked at. */
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

const machine: Clock = { now: Date.now, pollIntervalMs: clockPollIntervalMs }

/**
 * Publishes an event whenever it is due, one for all processes that run the schedule. `docs/triggers/schedule.md` says what
 * becomes of hours that a day does not have, of clocks that jump, and of what was missed. @throws E_APP_INVALID, E_EVENT_INVALID
 */
export function schedule<T>(name: string, options: ScheduleOptions<T>, clock: Clock = machine): Trigger {
  assertTriggerName(name)
  checkOptions(`schedule "${name}"`, options, checks, [])
  const rule = ruleOf(options)
  const message = messageOf(options)
  const { catchUp = 'last' } = options
  if (!['none', 'last', 'all'].includes(catchUp))
    throw new TidingsError('E_APP_INVALID', `catchUp "${catchUp}" of schedule ${name} is not none, last or all`)
  const address = `schedule:${name} ${rule.text}`
  return {
    kind: 'trigger',
    name,
    types: [message.type],
    address: address,
    sendSample: requestSample(name),
    start: async bus => {
      const running = new RunningSchedule(bus, name, rule, catchUp, message, clock)
      await running.start()
      return { address, stop: cut => running.stop(cut) } satisfies RunningTrigger
    },
  }
}

function ruleOf({ cron, every, zone }: ScheduleOptions): ScheduleRule {
  if (cron !== undefined && every === undefined) return cronRule(cron, zone)
  if (every !== undefined && cron === undefined && zone === undefined) return intervalRule(every)
  throw new TidingsError('E_APP_INVALID', 'a schedule has either cron, with a zone where it is not UTC, or every')
}

function messageOf<T>({ type, data }: ScheduleOptions<T>): ScheduledEvent {
  if (!type) return { type: 'schedule.fired', ...(data !== undefined && { data }) }
  assertCustomType(type.type)
  const checked = validateNow(type.schema, data)
  if ('problem' in checked) throw new TidingsError('E_APP_INVALID', `data of ${type.type}: ${checked.problem}`)
  return { type: type.type, data: checked.value ?? null }
}

/** Two looks at the clock that are further apart, in ms, are a jump. What was due more recently is on time. */
const graceMs = 60_000

/** As long as the clock goes on evenly: since when, and until when what was due has been dealt with. */
interface Attendance {
  readonly began: number
  readonly from: number
  looked: number
  /** Until the first plan is carried out. */
  isFresh: boolean
}

class RunningSchedule {
  readonly #bus: Bus
  readonly #name: string
  readonly #rule: ScheduleRule
  readonly #catchUp: CatchUp
  readonly #message: ScheduledEvent
  readonly #clock: Clock
  #attendance!: Attendance
  #seen = Number.NaN
  #next: number | undefined
  #underWay: Promise<void> | undefined
  #isFailing = false
  #end: (() => void) | undefined

  constructor(bus: Bus, name: string, rule: ScheduleRule, catchUp: CatchUp, message: ScheduledEvent, clock: Clock) {
    this.#bus = bus
    this.#name = name
    this.#rule = rule
    this.#catchUp = catchUp
    this.#message = message
    this.#clock = clock
  }

  async start(): Promise<void> {
    this.#look()
    // From now on what is due counts, though it be after a pause: the first look is on the log before anything else.
    await this.#read(this.#attendance)
    const timer = setInterval(() => this.#look(), this.#clock.pollIntervalMs)
    const ignore = onSampleRequest(this.#bus, this.#name, asked => void this.#sample(asked))
    this.#end = () => {
      ignore()
      clearInterval(timer)
    }
    this.#look()
  }

  async stop(cut?: AbortSignal): Promise<void> {
    this.#end?.()
    this.#end = undefined
    if (this.#underWay) await settledOrAborted(this.#underWay, cut)
  }

  /** Cheap where nothing is due. Goes on while the log is away, so that it knows what it has seen. */
  #look(): void {
    const now = this.#clock.now()
    if (!(Math.abs(now - this.#seen) < graceMs)) {
      const from = now - graceMs
      this.#attendance = { began: now, from, looked: from - 1, isFresh: true }
      this.#next = undefined
    }
    this.#seen = now
    if (!this.#end || this.#underWay) return
    const attendance = this.#attendance
    this.#next ??= this.#rule.next(attendance.looked) ?? Infinity
    if (!attendance.isFresh && this.#next > now) return
    this.#underWay = this.#serve(attendance, now).finally(() => {
      this.#underWay = undefined
    })
  }

  async #serve(attendance: Attendance, now: number): Promise<void> {
    try {
      const until = await this.#carryOut(attendance, now)
      this.#isFailing = false
      if (until === undefined) return
      attendance.looked = until
      attendance.isFresh = false
      this.#next = undefined
    } catch (error) {
      if (!this.#isFailing) this.#warn(`cannot fire now, and tries again: ${textOf(error)}`)
      this.#isFailing = true
    }
  }

  /** Until when what was due is fired; undefined where that is to be looked at again. */
  async #carryOut(attendance: Attendance, now: number): Promise<number | undefined> {
    const { from, looked, isFresh } = attendance
    const { progress, revision } = await this.#read(attendance)
    const plan = planFirings(this.#rule, this.#catchUp, progress, from, looked, now)
    let reached = plan.skipped ? withSkipped(progress, plan.skipped) : progress
    let isDone = true
    try {
      for (const firing of plan.firings) {
        // What was read is too old to say what others have fired: a broker knows ids for two minutes only.
        isDone = Math.abs(this.#clock.now() - now) < graceMs
        if (!isDone) break
        await publishFiring(this.#bus, this.#name, this.#message, firing, isFresh || now - firing.due > graceMs)
        reached = withFired(this.#rule, reached, firing.due)
      }
    } finally {
      // Behind the events: who dies before it fires them once more, which is inert.
      if (reached !== progress) isDone = (await this.#write(reached, revision)) && isDone
    }
    if (isDone && plan.skipped) this.#warnSkipped(plan.skipped)
    return isDone ? plan.until : undefined
  }

  /** What others know; another rule than theirs begins now, as its due moments before were none. */
  async #read({ began, from }: Attendance): Promise<{ progress: ScheduleProgress; revision: number }> {
    const { text, revision } = await this.#bus.documents.readRevision(this.#key)
    const known = text === undefined ? undefined : (JSON.parse(text) as ScheduleProgress)
    if (known?.rule === this.#rule.text) return { progress: known, revision }
    const progress = initialProgress(this.#rule, began, from)
    const written = await this.#bus.documents.writeText(this.#key, JSON.stringify(progress), revision)
    return written ? { progress, revision: written } : this.#read(this.#attendance)
  }

  async #write(progress: ScheduleProgress, revision: number): Promise<boolean> {
    return (await this.#bus.documents.writeText(this.#key, JSON.stringify(progress), revision)) > 0
  }

  get #key() {
    return `schedule/${this.#name}`
  }

  async #sample(asked: { id: string }): Promise<void> {
    try {
      await publishSample(this.#bus, this.#name, this.#message, asked, this.#clock.now())
    } catch (error) {
      this.#warn(`cannot fire the sample: ${textOf(error)}`)
    }
  }

  #warnSkipped([after, until]: TimeRange): void {
    const [first, last] = [this.#rule.next(after)!, this.#rule.newest(1, after, until + 1)[0]!]
    const range = first === last ? shown(first) : `from ${shown(first)} to ${shown(last)}`
    this.#warn(`was not fired for what was due ${range}: nobody was there, and catchUp is ${this.#catchUp}`)
  }

  #warn(text: string): void {
    warn(this.#bus.redactor, `schedule ${this.#name} ${text}`)
  }
}

const shown = (ms: number) => new Date(ms).toISOString()
