import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { settledOrAborted } from '../bus/abort.ts'
import type { Bus } from '../bus/bus.ts'
import type { Cursor } from '../bus/driver.ts'
import { KnownSecrets } from '../bus/known-secrets.ts'
import { log } from '../bus/telemetry/log.ts'
import { failure, textOf, TidingsError, type ErrorCode } from '../errors.ts'
import type { Draft } from '../event.ts'
import { assertName } from '../pattern.ts'
import { failureType, tapSource, tapTarget, type TapGap, type TappedType } from '../bus/tapped.ts'
import { publishGap } from './gap.ts'
import { ExpiredLeases } from './expired-leases.ts'
import { callIdOf, closeInterrupted, endLease, leaseMs, renewLease, type TapInstance } from './instances.ts'
import { LogLink } from './log-link.ts'
import { tapAnswer, type AnsweredCall, type TapAnswer } from './tap-answer.ts'
import { UnrecordedCalls } from './unrecorded-calls.ts'

/*
 * Records calls while they are made. Nothing here holds a call up for longer than 50 ms, or lets it fail:
 *
 *     begin ─▶ waiting ─▶ request on the log ─▶ answer on the log
 *                 └─ no room, or the tap stops while the log is away ─▶ unrecorded: counted, and reported by `tap.gap`
 *
 * What is not on the log is also in a file, so that the next process can report what one lost that was killed.
 */

/** A request as it is to be recorded. */
export interface TapCall
  extends Required<Pick<Draft, 'subject' | 'correlationid'>>,
    Pick<Draft, 'tenant' | 'user' | 'causationid' | 'traceparent' | 'retryof'> {
  readonly type: TappedType
  readonly data: unknown
  /** What authenticated the request: neither it nor its answer contains them on the log. */
  readonly secrets?: KnownSecrets
  /** Recorded in place of `data` if the log refuses that, because it is too large or too deep. */
  readonly outline: unknown
}

/** A call that is being recorded. */
export interface RecordedCall {
  /** The id of its request on the log. */
  readonly id: string
  /** Resolves when the request is on the log, or after 50 ms. False if it is not, so that the call goes on without. */
  durable(): Promise<boolean>
  /** Records the answer, once the request is on the log. `bytes`: what it holds in memory until then. */
  end(answer: TapAnswer, bytes?: number): void
}

/** What a tap has recorded, and what it could not. */
export interface TapStatus {
  readonly tap: string
  readonly log: 'ok' | 'away'
  /** Why the log cannot be written. */
  readonly problem?: { readonly code: ErrorCode; readonly message: string }
  /** Calls that this process has forwarded. */
  readonly calls: number
  /** Calls that wait for the log. */
  readonly waiting: number
  /** Calls that went on before their request was on the log. */
  readonly late: number
  /** Calls that will never be on the log. */
  readonly unrecorded: number
}

/** The name of a tap, its log, and the bounds of what may wait for that. */
export interface RecorderOptions {
  /** Name of the tap: lower-case words, joined by dots. */
  readonly name: string
  /** Opens the log. Repeated until it succeeds, while calls pass. */
  readonly open: () => Promise<Bus>
  /** Called when the log is there, goes away, and is back. */
  readonly onStatus?: ((status: TapStatus) => void) | undefined
  /** How many calls may wait for the log. Default 1,000. */
  readonly maxCalls?: number
  /** How many bytes may wait for the log. Default 64 MiB. */
  readonly maxBytes?: number
  /** Where a process keeps which calls are not on the log, for the next one that reports them if this one is killed. Without it, they are not counted. */
  readonly folder?: string
}

type Prepare = (bus: Bus) => TapCall | Promise<TapCall>

/** How long a call may wait for the log. */
export const maxHoldMs = 50
/** A call that is to be refused by what the log says waits no longer for that. */
const maxReadMs = 1_000
const stopGraceMs = 5_000

/** Records the calls of one tap. Several processes may run the same tap. */
export class Recorder {
  readonly name: string
  readonly #options: RecorderOptions
  readonly #instance: TapInstance
  readonly #link: LogLink
  /** Calls whose end is not on the log, by id. */
  readonly #open = new Set<string>()
  readonly #expired = new ExpiredLeases()
  readonly #writing = new Set<Promise<unknown>>()
  readonly #counts = { calls: 0, waiting: 0, late: 0, unrecorded: 0 }
  readonly #unrecorded: UnrecordedCalls | undefined
  #bytes = 0
  #isStopping = false
  /** What was missed since the last report, and the report that is being written. */
  #gap: TapGap | undefined
  #reported: (TapGap & { readonly n: number }) | undefined
  #reports = 0
  /** No open call is before it. */
  #cursor: Cursor | undefined
  /** The next cursor, for when these calls have ended. */
  #next: { readonly cursor: Cursor; readonly open: ReadonlySet<string> } | undefined

  constructor(options: RecorderOptions) {
    const { name, open, onStatus } = options
    assertName(name, 'the name of a tap')
    this.name = name
    this.#options = options
    this.#instance = { tap: name, id: randomBytes(8).toString('hex') }
    this.#unrecorded = options.folder === undefined ? undefined : new UnrecordedCalls(options.folder, this.#instance)
    const onChange = () => {
      this.#expired.forget()
      this.#logChange()
      onStatus?.(this.status)
    }
    this.#link = new LogLink({ open, renew: bus => this.#renew(bus), renewMs: leaseMs / 3, onChange })
  }

  get status(): TapStatus {
    const { isThere, problem } = this.#link
    return {
      tap: this.name,
      log: isThere ? 'ok' : 'away',
      ...(problem && { problem: { code: problem.code, message: problem.message } }),
      ...this.#counts,
    }
  }

  /** Opens the log and ends what an earlier process left open. Resolves after the first attempt, whether or not the log is there. */
  start(): Promise<void> {
    return this.#link.start()
  }

  /** Writes what waits, for five seconds at most. The log stays open: it belongs to the caller. */
  async stop(): Promise<void> {
    await settledOrAborted(Promise.all(this.#writing), AbortSignal.timeout(stopGraceMs))
    this.#isStopping = true
    const bus = await this.#link.stop()
    await Promise.all(this.#writing)
    if (bus) await this.#endInstance(bus)
    this.#unrecorded?.close()
  }

  async #endInstance(bus: Bus): Promise<void> {
    try {
      await this.#reportGap(bus)
      // Open calls are ended as interrupted by the next process of this tap.
      if (this.#open.size === 0) await endLease(bus, this.#instance)
    } catch (error) {
      this.#complain('the tap could not write its last report', error)
    }
  }

  /** Counts a call that begins to pass, and returns its number. It must be begun later, or at the latest when it has ended. */
  arrive(): number {
    const n = ++this.#counts.calls
    this.#unrecorded?.add(n)
    return n
  }

  /** Begins to record a call. `prepare` may read the log. `bytes`: what the call holds in memory until it is on the log. */
  begin(prepare: Prepare, bytes = 0, n = this.arrive()): RecordedCall {
    const id = callIdOf(this.name, this.#instance.id, n)
    const { maxCalls = 1_000 } = this.#options
    if (this.#counts.waiting >= maxCalls || this.#hasNoRoom(bytes)) {
      this.#miss(n)
      return { id, durable: async () => false, end: () => {} }
    }
    this.#open.add(id)
    this.#counts.waiting++
    const request = this.#holding(bytes, () => this.#writeRequest(id, n, prepare)).finally(() => this.#counts.waiting--)
    return {
      id,
      durable: () => this.#durable(request),
      end: (answer, size = 0) => this.#writeAnswer(id, request, answer, size),
    }
  }

  /** Publishes an event about the tap itself, such as an alarm, when the log is there. */
  note(draft: Draft): void {
    void this.#holding(0, () => this.#link.use(bus => bus.publish({ source: tapSource(this.name), ...draft })))
  }

  /** Writes something beside the events of calls, if the log is there. */
  keep(work: (bus: Bus) => Promise<void>): void {
    void this.#holding(0, () => this.#link.tryUse(work))
  }

  /** Asks the log for a call; undefined if it is not there, takes too long, or fails. */
  async read<T>(reading: (bus: Bus) => Promise<T>): Promise<T | undefined> {
    const read = this.#link.tryUse(reading).catch(error => this.#complain('the tap could not read the log', error))
    return Promise.race([read, pause(maxReadMs, undefined, { ref: false })])
  }

  async #writeRequest(id: string, n: number, prepare: Prepare): Promise<WrittenRequest | undefined> {
    try {
      const prepared = await this.#link.use(prepare)
      if (prepared) {
        const { outline, data, secrets = noSecrets, ...about } = prepared
        const envelope = { id, source: tapSource(this.name), target: tapTarget(this.name), ...about }
        const { user: _, ...plain } = envelope
        const stored = await this.#store({ ...envelope, data: secrets.scrubJson(data) }, () => ({
          ...plain,
          data: secrets.scrubJson(outline),
        }))
        if (stored) {
          this.#unrecorded?.remove(n)
          return { call: { ...plain, ...stored }, type: prepared.type, secrets }
        }
      }
    } catch (error) {
      this.#complain('a request was not recorded', error)
    }
    this.#open.delete(id)
    this.#miss(n)
    return undefined
  }

  #writeAnswer(id: string, request: Promise<WrittenRequest | undefined>, answer: TapAnswer, bytes: number): void {
    const isKept = !this.#hasNoRoom(bytes)
    void this.#holding(isKept ? bytes : 0, async () => {
      const written = await request
      if (!written) return
      const { call, type, secrets } = written
      const lost = { type: failureType(type), data: { error: failure('E_TAP_INTERRUPTED', noRoomForAnswer) } }
      const draft = tapAnswer(call, isKept ? { ...answer, data: secrets.scrubJson(answer.data) } : lost)
      const isOver = await this.#store(draft, () => ({ ...draft, data: outlineOf(draft.data) })).catch(error => {
        this.#complain('an answer was not recorded', error)
        return draft
      })
      if (isOver) this.#open.delete(id)
    })
  }

  /** What is on the log now: the outline, if the log refuses the event. Undefined if the tap stops before. */
  async #store<T extends Draft>(draft: T, outline: () => T): Promise<T | undefined> {
    const publish = (each: T) => this.#link.use(async bus => (await bus.publish(each)) && each)
    return publish(draft).catch(() => publish(outline()))
  }

  /** Accounts for what waits for the log. */
  #holding<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    this.#bytes += bytes
    const done = work().finally(() => {
      this.#bytes -= bytes
      this.#writing.delete(done)
    })
    this.#writing.add(done)
    done.catch(error => this.#complain('the tap could not write', error))
    return done
  }

  #hasNoRoom(bytes: number): boolean {
    const { maxBytes = 64 * 1024 * 1024 } = this.#options
    return this.#isStopping || (bytes > 0 && this.#bytes + bytes > maxBytes)
  }

  async #durable(request: Promise<WrittenRequest | undefined>): Promise<boolean> {
    // While the log is known to be away, no call waits for it.
    const hold = this.#link.isThere ? maxHoldMs : 0
    const isLate = pause(hold, 'late' as const, { ref: false })
    const outcome = await Promise.race([request, isLate])
    if (outcome === 'late') this.#counts.late++
    return outcome !== undefined && outcome !== 'late'
  }

  /** Renews the lease, ends what processes left open that have died, and reports what was missed. */
  async #renew(bus: Bus): Promise<void> {
    await renewLease(bus, this.#instance, await this.#openCallsCursor(bus))
    const { ended, lost } = await closeInterrupted(bus, this.#instance, {
      folder: this.#options.folder,
      expired: this.#expired,
    })
    if (ended + lost > 0)
      log.warn?.(
        { tap: this.name, ended, lost },
        'ended the open calls of a process that has died, and counted those that it lost',
      )
    await this.#reportGap(bus)
  }

  async #openCallsCursor(bus: Bus): Promise<Cursor> {
    const head = await bus.head()
    if (this.#next?.open.isDisjointFrom(this.#open)) {
      this.#cursor = this.#next.cursor
      this.#next = undefined
    }
    this.#next ??= { cursor: head, open: new Set(this.#open) }
    return (this.#cursor ??= head)
  }

  #miss(call: number): void {
    this.#counts.unrecorded++
    const { problem } = this.#link
    const reason = problem ? `${problem.code}: ${problem.message}` : overloaded
    const until = new Date().toISOString()
    this.#gap = { since: until, reason, ...this.#gap, calls: (this.#gap?.calls ?? 0) + 1, until }
    this.#unrecorded?.miss(call, this.#unreported)
  }

  /** Calls that were given up, and are in no report on the log. */
  get #unreported(): number {
    return (this.#gap?.calls ?? 0) + (this.#reported?.calls ?? 0)
  }

  /** Says on the log itself what it lacks. A report stays the same until it is on the log. */
  async #reportGap(bus: Bus): Promise<void> {
    if (this.#gap && !this.#reported) {
      this.#reported = { n: ++this.#reports, ...this.#gap }
      this.#gap = undefined
    }
    if (!this.#reported) return
    const { n, ...data } = this.#reported
    await publishGap(bus, this.#instance, n, data)
    this.#reported = undefined
    this.#unrecorded?.reported(n, this.#unreported)
  }

  #logChange(): void {
    const { problem } = this.#link
    if (problem)
      log.warn?.({ tap: this.name, code: problem.code }, `the tap forwards without recording: ${problem.message}`)
    else log.info?.({ tap: this.name, ...this.#counts }, 'the tap records')
  }

  #complain(what: string, thrown: unknown): undefined {
    log.error?.({ tap: this.name }, `${what}: ${thrown instanceof TidingsError ? thrown.message : textOf(thrown)}`)
  }
}

interface WrittenRequest {
  readonly call: AnsweredCall
  readonly type: TappedType
  readonly secrets: KnownSecrets
}

const noSecrets = new KnownSecrets()
const overloaded = 'E_BUSY: more calls waited for the log than the tap keeps'
const noRoomForAnswer = 'the answer was not recorded: more waits for the log than the tap keeps'

/** What of an answer can always be recorded. */
function outlineOf(data: unknown): unknown {
  const { error, usage, finish } = (data ?? {}) as Record<string, unknown>
  return { outline: true, ...(error !== undefined && { error }), ...(usage !== undefined && { usage, finish }) }
}
