import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { clockPollIntervalMs } from '../../../bus/clock.ts'
import { TidingsError } from '../../../errors.ts'
import { Doorbell } from '../doorbell.ts'
import { type FromWriter, type Op, type Reply, rowWidth, type ToWriter, type WriterOptions } from '../protocol.ts'
import { patiently, text } from '../schema.ts'
import { Writer } from './writer.ts'

/*
 * The writer thread. Whatever has come in goes into one transaction, so that one fsync serves everybody who waits:
 *
 *     idle ── message, alarm, doorbell, beat ──▶ transaction ──▶ reply ──▶ idle, or the next transaction
 *                                                    └─ failed ──▶ all that was submitted is void; try again later
 */

const mostOps = 512
const mostRows = 1_000
const firstResume = 100
const lastResume = 5_000

const port = parentPort!
const options = workerData as WriterOptions
const doorbell = new Doorbell(options.home, look)
const writer = patiently(() => new Writer(options))
doorbell.ring()

let queue: Op[] = []
let epoch = 0
let scheduled = false
let closing = false
let lastLife = performance.now()
let others = 0
let alarmAt = Infinity
let alarm: NodeJS.Timeout | undefined
let resumeAfter = firstResume
let resuming: NodeJS.Timeout | undefined

const pulseMs = Math.min(1_000, options.leaseMs / 3)
let beatAt = performance.now() + options.leaseMs / 3
const pulse = setInterval(onPulse, pulseMs)

port.on('message', (message: ToWriter) => {
  take(message)
  if (!scheduled) step()
})

function take([from, ops]: ToWriter): void {
  lastLife = performance.now()
  if (from === epoch) queue = queue.length ? queue.concat(ops) : ops
  else writer.voided(ops)
}

function schedule(): void {
  if (scheduled || closing) return
  scheduled = true
  setImmediate(step)
}

function step(): void {
  scheduled = false
  if (closing) return
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) take(next.message as ToWriter)
  const ops = cut()
  closing = ops.at(-1)?.[0] === 'close'
  try {
    const { reply, wrote } = writer.transact(ops)
    if (wrote && (reply.others || others)) doorbell.ring()
    if (wrote) resumed()
    send(reply, ops.length)
  } catch (error) {
    fail(ops, error)
  }
  if (closing) return close()
  rearm()
  if (queue.length || writer.isHungry) schedule()
}

/** Takes the ops of the next transaction off the queue. */
function cut(): Op[] {
  let rows = 0
  let n = 0
  while (n < queue.length && n < mostOps && rows < mostRows && queue[n - 1]?.[0] !== 'close')
    rows += rowsOf(queue[n++]!)
  if (n === queue.length) {
    const all = queue
    queue = []
    return all
  }
  return queue.splice(0, n)
}

function rowsOf(op: Op): number {
  const rows = op[0] === 'publish' ? op[1] : op[0] === 'settle' ? op[2] : op[0] === 'commit' ? op[8] : undefined
  return rows ? rows.length / rowWidth : 0
}

function send(reply: Reply, ops: number): void {
  const { handouts, wakes, won, lost, caughtUp, grew } = reply
  const news = ops + handouts.length + wakes.length + won.length + lost.length + caughtUp.length
  if (news || grew || reply.others !== others) post(reply)
  others = reply.others
}

function post(message: FromWriter): void {
  port.postMessage(message)
}

function fail(ops: Op[], error: unknown): void {
  epoch++
  const lost = ops.concat(queue)
  queue = []
  writer.recover(lost)
  const isReplaced = error instanceof TidingsError && error.code === 'E_LOG_REPLACED'
  post({ kind: 'failed', epoch, reason: text(error), code: isReplaced ? 'E_LOG_REPLACED' : 'E_LOG_UNAVAILABLE' })
  resuming ??= setTimeout(resume, resumeAfter)
}

function resume(): void {
  resuming = undefined
  resumeAfter = Math.min(resumeAfter * 2, lastResume)
  writer.beat()
  schedule()
}

function resumed(): void {
  resumeAfter = firstResume
  clearTimeout(resuming)
  resuming = undefined
}

/** Somebody rang: what others wrote is looked at without waiting for the next op. */
function look(): void {
  if (scheduled || closing || !writer.isStale) return
  if (writer.isIdle) send(writer.look(), 0)
  else schedule()
}

/** Beats only while the main thread lives, too: a member that hangs must not keep its shards. */
function onPulse(): void {
  const now = performance.now()
  if ((others && writer.someoneDied()) || !writer.isInPlace) {
    writer.beat()
    schedule()
  }
  if (now < beatAt) return
  beatAt = now + options.leaseMs / 3
  post({ kind: 'ping' })
  if (now - lastLife > 2 * options.leaseMs) return
  writer.beat()
  schedule()
}

function rearm(): void {
  const at = writer.alarm
  if (at === alarmAt && alarm) return
  clearTimeout(alarm)
  alarm = undefined
  alarmAt = at
  if (at < Infinity) alarm = setTimeout(onAlarm, Math.min(Math.max(0, at - writer.now()), clockPollIntervalMs))
}

/** Its time has come, or it is time to look whether it has. */
function onAlarm(): void {
  alarm = undefined
  if (writer.isDue) schedule()
  else rearm()
}

function close(): void {
  clearInterval(pulse)
  clearTimeout(alarm)
  clearTimeout(resuming)
  doorbell.close()
  writer.close()
  port.close()
}
