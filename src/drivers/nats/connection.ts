import type { Msg, MsgHdrs, NatsConnection, ServerInfo, Subscription } from '@nats-io/transport-node'
import { textOf, TidingsError } from '../../errors.ts'
import { log } from '../../bus/telemetry/log.ts'
import { shownAddress, type Address } from './address.ts'
import { answerOf, codes, isTransient, Refused, statusOf, Unanswered } from './answers.ts'
import { WriteBuffer } from './write-buffer.ts'

type Reply = (message: Msg) => boolean

interface Waiting {
  readonly subject: string
  readonly reply: Reply
  readonly fail: (error: Error) => void
  /** By the monotonic clock, as all limits here. */
  readonly until: number
}

const sweepIntervalMs = 250
/** An answer normally takes a millisecond; after this time the request is retried. */
const maxAnswerTimeoutMs = 5_000

/** A connection to the server: requests with timeouts over one inbox, and the state of the connection. */
export class LogConnection {
  readonly address: Address
  readonly nc: NatsConnection
  readonly timeoutMs: number
  readonly #inbox: string
  #subscription: Subscription
  /** The server denies the subscription to the inbox, so no answers arrive. */
  #inboxDenied: TidingsError | undefined
  readonly #waiting = new Map<string, Waiting>()
  readonly #sweep: NodeJS.Timeout
  /** At most half of the timeout of a call, so that each call is tried twice. */
  readonly #answerTimeoutMs: number
  #onReconnect: () => void = () => {}
  #onMissing: () => void = () => {}
  /** The client has none while it is not connected. */
  #info: ServerInfo
  #next = 0
  readonly writeBuffer: WriteBuffer
  #connected = true
  #isLogConfirmed = true
  #problem: TidingsError | undefined
  #reconnected: PromiseWithResolvers<void> | undefined
  #closed = false

  constructor(address: Address, nc: NatsConnection, newInbox: () => string) {
    this.address = address
    this.nc = nc
    this.writeBuffer = new WriteBuffer(nc)
    this.#info = nc.info!
    this.timeoutMs = address.timeoutMs ?? 10_000
    this.#answerTimeoutMs = Math.min(maxAnswerTimeoutMs, this.timeoutMs / 2)
    this.#inbox = newInbox()
    this.#subscription = this.#subscribeInbox()
    // After a pause of the whole process the answers that wait in the socket come first.
    this.#sweep = setInterval(() => setImmediate(() => this.#expire()), sweepIntervalMs)
    this.#sweep.unref()
    void this.#watch()
  }

  /** After a reconnect this stays false until `confirmLog()`: the server may have lost the log. */
  get isConnected(): boolean {
    return this.#connected && this.#isLogConfirmed
  }

  /** Why the server cannot be used now, without asking it. */
  get problem(): TidingsError | undefined {
    return this.#connected ? this.#inboxDenied : (this.#problem ?? this.unavailable('not connected'))
  }

  get serverVersion(): string {
    return this.#info.version
  }

  get maxPayload(): number {
    return this.#info.max_payload
  }

  onReconnect(callback: () => void): void {
    this.#onReconnect = callback
  }

  /** Called after each answer that says that a stream is missing, or has no leader. */
  onMissing(callback: () => void): void {
    this.#onMissing = callback
  }

  confirmLog(): void {
    this.#isLogConfirmed = true
  }

  /** A denied subscription receives nothing. A callback that throws must not stop the client's reader. */
  subscribe(subject: string, callback: (message: Msg) => void): Subscription {
    return this.nc.subscribe(subject, {
      callback: (refused, message) => {
        if (refused) return
        try {
          callback(message)
        } catch (error) {
          process.emitWarning(error as Error)
        }
      },
    })
  }

  /** One request and one answer. @throws Refused, Unanswered */
  request(subject: string, body: string | Uint8Array = '', headers?: MsgHdrs): Promise<Msg> {
    return new Promise((resolve, reject) => {
      this.send(
        subject,
        body,
        message => {
          const status = statusOf(message)
          if (status === codes.noResponders) reject(new Refused(status, `no responders for ${subject}`))
          else resolve(message)
          return true
        },
        reject,
        headers,
      )
    })
  }

  /** A request whose answers go to `reply` until it returns true. */
  send(
    subject: string,
    body: string | Uint8Array,
    reply: Reply,
    fail: (error: Error) => void,
    headers?: MsgHdrs,
  ): void {
    if (this.#inboxDenied) return fail(this.#inboxDenied)
    const key = (this.#next++).toString(36)
    this.#waiting.set(key, { subject, reply, fail, until: performance.now() + this.#answerTimeoutMs })
    const refused = (error: Error) => {
      this.#waiting.delete(key)
      fail(error)
    }
    this.writeBuffer.send(subject, body, { reply: `${this.#inbox}.${key}`, ...(headers && { headers }) }, refused)
  }

  /** A request to the API of JetStream, whose answer is JSON. @throws Refused, Unanswered */
  async api<T>(verb: string, body: unknown = ''): Promise<T> {
    const text = body === '' ? '' : JSON.stringify(body)
    return answerOf<T>(await this.request(`$JS.API.${verb}`, text))
  }

  /** A request that may be made twice, until it is answered with JSON or the time is over. @throws Refused, TidingsError */
  ask<T>(subject: string, body: string | Uint8Array, headers?: MsgHdrs): Promise<T> {
    const until = performance.now() + this.timeoutMs
    const work = async () => answerOf<T>(await this.request(subject, body, headers))
    if (!this.#connected || this.#closed) return this.retryUntilAnswered(work, until)
    // The usual case, an immediate answer, costs one promise.
    return new Promise((resolve, reject) => {
      const again = (error: Error) => void this.retryUntilAnswered(work, until, error).then(resolve, reject)
      const reply = (message: Msg) => {
        try {
          resolve(answerOf<T>(message))
        } catch (error) {
          again(error as Error)
        }
        return true
      }
      this.send(subject, body, reply, again, headers)
    })
  }

  /**
   * Retries after lost answers and while the stream has no leader, until the timeout. Only for idempotent work.
   * @throws TidingsError
   */
  async retryUntilAnswered<T>(
    work: () => Promise<T>,
    until = performance.now() + this.timeoutMs,
    first?: Error,
  ): Promise<T> {
    let wasSent = false
    for (let pause = 5; ; pause = Math.min(pause * 2, 500)) {
      try {
        if (first && pause === 5) throw first
        if (!this.#connected || this.#closed) await this.ready(until)
        return await work()
      } catch (error) {
        wasSent ||= error instanceof Unanswered
        this.noteMissing(error)
        if (!isTransient(error) || performance.now() + pause > until)
          throw wasSent ? this.#unanswered(error) : this.toTidingsError(error)
      }
      await new Promise(resolve => setTimeout(resolve, pause))
    }
  }

  noteMissing(error: unknown): void {
    if (error instanceof Refused && (error.code === codes.noStream || error.code === codes.noResponders))
      this.#onMissing()
  }

  /** Resolves while the server can be reached. @throws E_LOG_UNAVAILABLE, E_BUS_DENIED: nothing was sent; E_BUS_CLOSED */
  async ready(until: number): Promise<void> {
    while (!this.#connected) {
      if (this.#closed) throw closed()
      const left = until - performance.now()
      if (left <= 0) throw this.problem!
      this.#reconnected ??= Promise.withResolvers()
      let timer: NodeJS.Timeout | undefined
      await Promise.race([this.#reconnected.promise, new Promise(resolve => (timer = setTimeout(resolve, left)))])
      clearTimeout(timer)
    }
    if (this.#closed) throw closed()
  }

  unavailable(reason: string): TidingsError {
    return new TidingsError('E_LOG_UNAVAILABLE', `${shownAddress(this.address)}: ${reason}`, { retryable: true })
  }

  /** An earlier attempt was sent and not answered, so it may have been stored. */
  #unanswered(error: unknown): TidingsError {
    const failure = this.toTidingsError(error)
    if (!failure.retryable) return failure
    const text = error instanceof TidingsError ? error.message : `${shownAddress(this.address)}: ${textOf(error)}`
    return new TidingsError('E_LOG_UNANSWERED', text, { retryable: true, cause: error })
  }

  /** Converts any error to one for the user. */
  toTidingsError(error: unknown): TidingsError {
    if (error instanceof TidingsError) return error
    const text = textOf(error)
    if (isTooLarge(error))
      return new TidingsError('E_EVENT_TOO_LARGE', `${shownAddress(this.address)}: ${text}`, { cause: error })
    return this.unavailable(text)
  }

  async close(): Promise<void> {
    this.writeBuffer.flush()
    this.#closed = true
    clearInterval(this.#sweep)
    this.#reconnected?.resolve()
    this.#fail(new Unanswered('the connection was closed'))
    this.#subscription.unsubscribe()
    if (this.#connected) await this.nc.flush().catch(() => {})
    await this.nc.close()
  }

  #subscribeInbox(): Subscription {
    return this.subscribe(`${this.#inbox}.*`, message => this.#receive(message))
  }

  #receive(message: Msg): void {
    const key = message.subject.slice(this.#inbox.length + 1)
    const waiting = this.#waiting.get(key)
    if (waiting?.reply(message)) this.#waiting.delete(key)
  }

  #expire(): void {
    const now = performance.now()
    for (const [key, { until, fail }] of this.#waiting) {
      if (until > now) continue
      this.#waiting.delete(key)
      fail(new Unanswered('no answer in time'))
    }
  }

  #fail(error: Error): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { fail } of waiting) fail(error)
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') {
        this.#connected = this.#isLogConfirmed = false
        this.writeBuffer.suspend()
        this.#problem ??= this.unavailable('the connection is lost')
        log.warn?.({ bus: shownAddress(this.address) }, 'the connection to the broker is lost')
        this.#fail(new Unanswered('the connection was lost before the answer'))
      } else if (status.type === 'reconnect') {
        this.#connected = true
        this.writeBuffer.resume()
        this.#info = this.nc.info ?? this.#info
        this.#problem = undefined
        log.info?.({ bus: shownAddress(this.address) }, 'the connection to the broker is back')
        if (this.#inboxDenied) this.#subscription = this.#subscribeInbox()
        this.#inboxDenied = undefined
        this.#reconnected?.resolve()
        this.#reconnected = undefined
        this.#onReconnect()
      } else if (status.type === 'error') this.#onServerError(status.error)
    }
  }

  /** An unsolicited error of the server: it rejects the credentials, or denies a subject. */
  #onServerError(error: Error): void {
    if (!isDenial(error)) return
    const denied = deniedBy(this.address, error)
    const { subject = '' } = error as Error & { subject?: string }
    log.warn?.({ bus: shownAddress(this.address), code: denied.code, reason: denied.message }, 'the broker refuses')
    if (!subject) this.#problem = denied
    else if (subject === `${this.#inbox}.*`) this.#inboxDenied = denied
    for (const [key, waiting] of this.#waiting) {
      if (waiting.subject !== subject && !this.#inboxDenied) continue
      this.#waiting.delete(key)
      waiting.fail(denied)
    }
  }
}

const denialErrors = new Set(['PermissionViolationError', 'AuthorizationError', 'UserAuthenticationExpiredError'])

/** By the names of the client's errors: its module is loaded only when it connects. */
export const isDenial = (error: unknown) => error instanceof Error && denialErrors.has(error.name)

/** The client checks `max_payload`, the server the largest message of a stream. */
const isTooLarge = (error: unknown) =>
  error instanceof Refused
    ? error.code === codes.messageTooLarge
    : error instanceof Error && error.name === 'InvalidArgumentError'

export const deniedBy = (address: Address, error: unknown) =>
  new TidingsError('E_BUS_DENIED', `${shownAddress(address)}: ${textOf(error)}`, { retryable: true, cause: error })

const closed = () => new TidingsError('E_BUS_CLOSED', 'the log is closed')
