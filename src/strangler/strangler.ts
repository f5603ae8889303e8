import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { TaskHandle } from '../ask/handle.ts'
import { backoff } from '../bus/delivery.ts'
import { TidingsError } from '../errors.ts'
import { defaultTenant } from '../event.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { CallError } from '../tasks/script.ts'
import { sideOf, type Side } from './bucket.ts'
import { decide, nothing, rolledBack, stranglerCorrelation, type Control, type Decision } from './control.ts'
import { laneAnswer, type LaneAnswer } from './lane.ts'
import { measuredType, Meter } from './meter.ts'
import { Mirror, type ServedRequest } from './mirror.ts'
import { checkRun, settingsOf, type HasLog, type StranglerRunOptions, type StranglerOptions, type StranglerSettings } from './options.ts' // biome-ignore format: one line
import { Reporter } from './reporter.ts'
import { StranglerSession } from './session.ts'

const tickMs = 1_000
const maxOpenMs = 15_000
/** How long the first request waits for the log. */
const maxHoldMs = 2_000
const answerGraceMs = 1_000
/** How long `close` waits for comparisons. Those that are not done by then are counted as lost. */
const closeGraceMs = 5_000

/** An answer, or the task that will give it. */
export type Begun<Output> =
  | { readonly side: Side; readonly output: Output }
  | { readonly side: 'candidate'; readonly task: TaskHandle<Output> }

/**
 * Answers requests with old code, and more and more of them with an agent or workflow. How many is set on the log, with `tidings strangler set`
 * or `set`, for all processes at once.
 */
export class Strangler<Input, Output> {
  readonly name: string
  readonly #settings: StranglerSettings<Input, Output>
  readonly #openLog: () => Promise<HasLog>
  readonly #meter: Meter
  readonly #reporter = new Reporter()
  readonly #mirror: Mirror<Input, Output>
  readonly #closed = new AbortController()
  #session: StranglerSession | undefined
  #opened: Promise<void> | undefined
  /** Resolves when an attempt to open the log has failed. */
  readonly #tried = Promise.withResolvers<void>()
  #isWaitedFor = false
  #closeLog: (() => Promise<void>) | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param openLog opens the log if the options have none */
  constructor(name: string, options: StranglerOptions<Input, Output>, openLog: () => Promise<HasLog>) {
    this.name = name
    this.#settings = settingsOf(name, options)
    const { log = openLog } = options
    this.#openLog = typeof log === 'function' ? log : () => Promise.resolve({ bus: log.bus })
    this.#meter = new Meter(name, () => this.#session?.bus.now() ?? Date.now())
    this.#mirror = new Mirror(this.#settings, this.#meter, this.#reporter)
  }

  /**
   * Answers one request. Without the log, `old` answers; a request that the candidate may have begun is not given to `old` unless it is repeatable.
   * @throws what `old` throws, the `CallError` of the candidate, E_CANDIDATE_UNSURE, E_CANDIDATE_LATE
   * @example show(await reports.run({ user: 'ann' }))
   */
  async run(input: Input, options: StranglerRunOptions = {}): Promise<Output> {
    const begun = await this.begin(input, { ...options, wait: this.#settings.withinMs + answerGraceMs })
    if ('output' in begun) return begun.output
    throw late(begun.task.id, this.#settings.candidate)
  }

  /**
   * Answers one request, or returns the task of the candidate if it takes longer than `wait`, so that a server can answer 202. The task goes on.
   * @throws as `run`
   * @example
   * const begun = await reports.begin({ user: 'ann' }, { wait: '2s' })
   * show('output' in begun ? begun.output : begun.task.id)
   */
  async begin(input: Input, { wait, ...options }: StranglerRunOptions & { wait: Duration }): Promise<Begun<Output>> {
    const problem = checkRun(options)
    if (problem !== undefined) throw new TidingsError('E_REQUEST_INVALID', `${this.name}: ${problem}`)
    await this.#waitForLog()
    const { tenant = defaultTenant, user } = options
    const origin = { correlationid: randomUUIDv7(), tenant, ...(user !== undefined && { user }) }
    const { version = 0, control = nothing } = this.#session?.follower.document ?? {}
    const request: ServedRequest<Input> = { input, origin, version }
    const keys = this.#keysOf(input, options)
    if (!keys || sideOf(this.name, control, keys.length > 0 ? keys : [origin.correlationid]) === 'old')
      return this.#runOld(request)
    return this.#runCandidate(request, milliseconds(wait))
  }

  /** The task that `begin` returned, by its id, in any process. @throws E_LOG_UNAVAILABLE */
  async task(id: string): Promise<TaskHandle<Output>> {
    return (await this.#connected()).candidate.handle<Output>(id)
  }

  /**
   * Changes which requests go to the candidate, in all processes. Resolves with the decision; undefined if nothing changed.
   * @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE
   * @example await reports.set({ percent: 5, mirror: 20 }, { by: 'ann' })
   */
  async set(change: Partial<Control>, origin: { by: string; why?: string }): Promise<Decision | undefined> {
    const { bus, follower } = await this.#connected()
    const decision = await decide(bus, this.name, change, origin)
    await follower.read()
    return decision
  }

  /** Gives all requests back to `old`, in all processes, until a person sets a percentage again. @throws E_LOG_UNAVAILABLE */
  rollback(origin: { by: string; why?: string }): Promise<Decision | undefined> {
    return this.set(rolledBack, origin)
  }

  /** Which requests go to the candidate, as this process knows it. `isAway`: the log cannot be read now. */
  get state(): { readonly version: number; readonly control: Control; readonly isAway: boolean } {
    const { version = 0, control = nothing } = this.#session?.follower.document ?? {}
    return { version, control, isAway: this.#session?.follower.isAway ?? true }
  }

  /**
   * Opens the log, so that the first request is on its side. Resolves after the first attempt, or after 15 seconds: without the log, `old` answers,
   * and the strangler keeps trying. Otherwise the first request opens it, and waits for it two seconds at most.
   */
  async open(): Promise<void> {
    await this.#openWithin(maxOpenMs)
  }

  /** Waits a moment for comparisons in flight, publishes what was measured, and closes the log if the strangler opened it. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const session = this.#session
    if (session) {
      await Promise.race([this.#mirror.drained(), delay(closeGraceMs, undefined, { ref: false })])
      await this.#report(session)
    }
    this.#closed.abort()
    session?.close()
    await this.#closeLog?.()
  }

  /** Undefined if `key` throws: then nobody knows on which side the request was before. */
  #keysOf(input: Input, { key }: StranglerRunOptions): readonly string[] | undefined {
    try {
      return [key ?? this.#settings.key?.(input) ?? []].flat()
    } catch {
      return undefined
    }
  }

  async #waitForLog(): Promise<void> {
    if (!this.#session && !this.#isWaitedFor) await this.#openWithin(maxHoldMs)
  }

  async #openWithin(ms: number): Promise<void> {
    this.#opened ??= this.#open()
    const late = new AbortController()
    const timeout = delay(ms, undefined, { signal: late.signal }).catch(() => {})
    await Promise.race([this.#opened, this.#tried.promise, timeout])
    late.abort()
    this.#isWaitedFor = true
  }

  async #connected(): Promise<StranglerSession> {
    await this.open()
    if (this.#session) return this.#session
    throw new TidingsError('E_LOG_UNAVAILABLE', `the strangler "${this.name}" has not reached the log yet`, {
      retryable: true,
    })
  }

  async #open(): Promise<void> {
    const { signal } = this.#closed
    for (let attempt = 1; !signal.aborted; attempt++) {
      let log: HasLog | undefined
      try {
        log = await this.#openLog()
        const session = await StranglerSession.open(log, this.#settings)
        if (signal.aborted) {
          session.close()
          return await log.close?.()
        }
        this.#session = session
        this.#closeLog = () => log?.close?.() ?? Promise.resolve()
        this.#timer = setInterval(() => void this.#report(session), tickMs)
        this.#timer.unref()
        return
      } catch {
        await log?.close?.().catch(() => {})
        this.#tried.resolve()
        await delay(backoff(attempt), undefined, { signal, ref: false }).catch(() => {})
      }
    }
  }

  async #report({ bus }: StranglerSession): Promise<void> {
    for (const data of this.#meter.take(this.#settings.criteria?.p95))
      this.#reporter.add({
        type: measuredType,
        source: `/strangler/${this.name}`,
        subject: this.name,
        correlationid: stranglerCorrelation(this.name),
        data,
      })
    await this.#reporter.flush(bus)
  }

  #runOld(request: ServedRequest<Input>): Promise<Begun<Output>> {
    return this.#askOld(request, this.#session && this.#mirror.begin(this.#session, request))
  }

  async #askOld(request: ServedRequest<Input>, compare?: (old: LaneAnswer) => void): Promise<Begun<Output>> {
    const { input, origin, version } = request
    const { correlationid } = origin
    const metered = this.#meter.begin('old', version)
    const began = performance.now()
    try {
      const output = await this.#settings.old(input, { correlationid })
      metered.end(false)
      compare?.(laneAnswer(correlationid, began, { output }))
      return { side: 'old', output }
    } catch (thrown) {
      metered.end(true)
      compare?.(laneAnswer(correlationid, began, { thrown }))
      throw thrown
    }
  }

  async #runCandidate(request: ServedRequest<Input>, waitMs: number): Promise<Begun<Output>> {
    const session = this.#session!
    const { input, origin, version } = request
    if (session.follower.isAway) return this.#fallBack(request)
    const metered = this.#meter.begin('candidate', version)
    const began = performance.now()
    let task: TaskHandle<Output>
    try {
      task = await session.candidate.ask<Output>(input, origin)
    } catch (error) {
      if (codeOf(error) === 'E_CANDIDATE_UNSURE') {
        metered.end(true)
        return this.#repeatWithOld(request, error)
      }
      // The candidate was not asked.
      metered.forget()
      if (codeOf(error) === 'E_LOG_UNAVAILABLE') session.follower.noteAway()
      return this.#fallBack(request)
    }
    try {
      const output = await task.result({ within: waitMs })
      metered.end(false)
      this.#mirror.check(session, request, {
        ...laneAnswer(origin.correlationid, began, { output }),
        task: task.id,
      })
      return { side: 'candidate', output }
    } catch (error) {
      if (codeOf(error) === 'E_RESULT_PENDING' && waitMs < this.#settings.withinMs) {
        const left = this.#settings.withinMs + answerGraceMs - (performance.now() - began)
        task.result({ within: Math.max(0, left) }).then(
          () => metered.end(false),
          () => metered.end(true),
        )
        return { side: 'candidate', task }
      }
      metered.end(true)
      return this.#repeatWithOld(request, isLate(error) ? late(task.id, this.#settings.candidate) : error, task.id)
    }
  }

  /** The candidate was not asked, and nothing of the request is on the log. */
  #fallBack(request: ServedRequest<Input>): Promise<Begun<Output>> {
    this.#meter.fallback(request.version)
    return this.#runOld(request)
  }

  /** The candidate may have begun. `old` answers too if that does no harm, and the log says so; otherwise the request fails. */
  async #repeatWithOld(request: ServedRequest<Input>, error: unknown, task?: string): Promise<Begun<Output>> {
    const { input, origin, version } = request
    if (!this.#settings.isRepeatable(input)) throw error
    this.#reporter.add({
      type: repeatedType,
      source: `/strangler/${this.name}`,
      subject: this.name,
      ...origin,
      data: { strangler: this.name, version, reason: codeOf(error), ...(task !== undefined && { task }) },
    })
    return this.#askOld(request)
  }
}

/** `old` answered a request that the candidate may have begun. */
export const repeatedType = 'strangler.repeated'

const codeOf = (error: unknown) =>
  error instanceof TidingsError || error instanceof CallError ? error.code : 'E_PROGRAM_FAILED'

const isLate = (error: unknown) => ['E_RESULT_PENDING', 'E_TASK_CANCELLED'].includes(codeOf(error))

const late = (task: string, candidate: string) =>
  new TidingsError('E_CANDIDATE_LATE', `"${candidate}" has not answered in time; its task is ${task}`, {
    data: { task },
  })
