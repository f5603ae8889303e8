import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { clockPollIntervalMs } from '../../../bus/clock.ts'
import { TidingsError } from '../../../errors.ts'
import { describeThrown } from '../../../thrown.ts'
import { ChangeNotifier } from '../change-notifier.ts'
import type { WriterOp, WriterOptions, WriterReply } from '../protocol.ts'
import { retryWhileBusy } from '../schema.ts'
import { type MessageFromWriter, type MessageToWriter, packDeliveries, unpackOps } from '../wire.ts'
import type { LogWriter } from './log-writer.ts'

const maxOpsPerTransaction = 512
const maxEventsPerTransaction = 1_000
const minResumeDelayMs = 100
const maxResumeDelayMs = 5_000

/*
 * The loop of the writer thread. All operations that have arrived go into one transaction, so that one fsync serves them all:
 *
 *     idle ── message, alarm, change, heartbeat ──▶ transaction ──▶ reply ──▶ idle, or the next transaction
 *                                                       └─ failed ──▶ pending operations are discarded; retried later
 */
export class WriterThread {
  readonly #port = parentPort!
  readonly #leaseMs: number
  readonly #notifier: ChangeNotifier
  readonly #writer: LogWriter
  #queue: WriterOp[] = []
  #epoch = 0
  #isScheduled = false
  #isClosing = false
  #lastMessageAt = performance.now()
  #otherMembers = 0
  #alarmAt = Infinity
  #alarm: NodeJS.Timeout | undefined
  #resumeDelayMs = minResumeDelayMs
  #resumeTimer: NodeJS.Timeout | undefined
  #heartbeatAt: number
  readonly #heartbeatTimer: NodeJS.Timeout

  constructor({ home, leaseMs }: WriterOptions, createWriter: () => LogWriter) {
    this.#leaseMs = leaseMs
    this.#notifier = new ChangeNotifier(home, () => this.#onChange())
    this.#writer = retryWhileBusy(createWriter)
    this.#notifier.notify()
    this.#heartbeatAt = performance.now() + leaseMs / 3
    this.#heartbeatTimer = setInterval(() => this.#onHeartbeat(), Math.min(1_000, leaseMs / 3))
    this.#port.on('message', (message: MessageToWriter) => {
      this.#receive(message)
      if (!this.#isScheduled) this.#step()
    })
  }

  #receive({ epoch, ops: cells }: MessageToWriter): void {
    this.#lastMessageAt = performance.now()
    const ops = unpackOps(cells)
    if (epoch === this.#epoch) this.#queue = this.#queue.length ? this.#queue.concat(ops) : ops
    else this.#writer.discard(ops)
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosing) return
    this.#isScheduled = true
    setImmediate(() => this.#step())
  }

  #step(): void {
    this.#isScheduled = false
    if (this.#isClosing) return
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port))
      this.#receive(next.message as MessageToWriter)
    const ops = this.#takeBatch()
    this.#isClosing = ops.at(-1)?.kind === 'close'
    try {
      const { reply, wrote } = this.#writer.transact(ops)
      if (wrote && (reply.otherMembers || this.#otherMembers)) this.#notifier.notify()
      if (wrote) this.#resetResume()
      this.#sendIfNews(reply, ops.length)
    } catch (error) {
      this.#fail(ops, error)
    }
    if (this.#isClosing) return this.#close()
    this.#setAlarm()
    if (this.#queue.length || this.#writer.hasMore) this.#schedule()
  }

  /** Removes the operations of the next transaction from the queue. */
  #takeBatch(): WriterOp[] {
    const queue = this.#queue
    let events = 0
    let n = 0
    while (
      n < queue.length &&
      n < maxOpsPerTransaction &&
      events < maxEventsPerTransaction &&
      queue[n - 1]?.kind !== 'close'
    )
      events += eventCountOf(queue[n++]!)
    if (n < queue.length) return queue.splice(0, n)
    this.#queue = []
    return queue
  }

  #sendIfNews(reply: WriterReply, ops: number): void {
    const { deliveries, wakes, acquired, lost, caughtUp, grew, otherMembers } = reply
    const news = ops + deliveries.length + wakes.length + acquired.length + lost.length + caughtUp.length
    if (news || grew || otherMembers !== this.#otherMembers)
      this.#post({ ...reply, kind: 'reply', deliveries: packDeliveries(deliveries) })
    this.#otherMembers = otherMembers
  }

  #post(message: MessageFromWriter): void {
    this.#port.postMessage(message)
  }

  #fail(ops: readonly WriterOp[], error: unknown): void {
    this.#epoch++
    const lost = ops.concat(this.#queue)
    this.#queue = []
    this.#writer.recover(lost)
    const isReplaced = error instanceof TidingsError && error.code === 'E_LOG_REPLACED'
    const code = isReplaced ? 'E_LOG_REPLACED' : 'E_LOG_UNAVAILABLE'
    this.#post({ kind: 'failed', epoch: this.#epoch, reason: describeThrown(error), code })
    this.#resumeTimer ??= setTimeout(() => this.#resume(), this.#resumeDelayMs)
  }

  #resume(): void {
    this.#resumeTimer = undefined
    this.#resumeDelayMs = Math.min(this.#resumeDelayMs * 2, maxResumeDelayMs)
    this.#writer.requestHeartbeat()
    this.#schedule()
  }

  #resetResume(): void {
    this.#resumeDelayMs = minResumeDelayMs
    clearTimeout(this.#resumeTimer)
    this.#resumeTimer = undefined
  }

  /** Another process committed: reads what it wrote without waiting for the next operation. */
  #onChange(): void {
    if (this.#isScheduled || this.#isClosing || !this.#writer.store.isStale) return
    if (this.#writer.isIdle) this.#sendIfNews(this.#writer.readOthersWrites(), 0)
    else this.#schedule()
  }

  /** Stops when the main thread stops answering: a member that hangs must not keep its shards. */
  #onHeartbeat(): void {
    const now = performance.now()
    if ((this.#otherMembers && this.#writer.hasExpiredMembers()) || !this.#writer.store.isInPlace) {
      this.#writer.requestHeartbeat()
      this.#schedule()
    }
    if (now < this.#heartbeatAt) return
    this.#heartbeatAt = now + this.#leaseMs / 3
    this.#post({ kind: 'ping' })
    if (now - this.#lastMessageAt > 2 * this.#leaseMs) return
    this.#writer.requestHeartbeat()
    this.#schedule()
  }

  #setAlarm(): void {
    const at = this.#writer.alarm
    if (at === this.#alarmAt && this.#alarm) return
    clearTimeout(this.#alarm)
    this.#alarm = undefined
    this.#alarmAt = at
    if (at === Infinity) return
    const delayMs = Math.min(Math.max(0, at - this.#writer.now()), clockPollIntervalMs)
    this.#alarm = setTimeout(() => this.#onAlarm(), delayMs)
  }

  /** Something is due, or the wall clock may have moved since the alarm was set. */
  #onAlarm(): void {
    this.#alarm = undefined
    if (this.#writer.isDue) this.#schedule()
    else this.#setAlarm()
  }

  #close(): void {
    clearInterval(this.#heartbeatTimer)
    clearTimeout(this.#alarm)
    clearTimeout(this.#resumeTimer)
    this.#notifier.close()
    this.#writer.store.close()
    this.#port.close()
  }
}

const eventCountOf = (op: WriterOp) => ('events' in op ? op.events.length : 0)
