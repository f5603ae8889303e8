import { TidingsError } from '../../../errors.ts'
import { statusOf } from '../answers.ts'
import type { GroupInfo } from '../groups.ts'
import { ackable } from '../pull-consumer.ts'
import type { StoredMessage } from '../stored-message.ts'
import type { GroupExport } from './export-groups.ts'

/*
 * The server does not list what a consumer has handed out and not got back. With no members on the group, it hands that out first, so it
 * is pulled and given back at once. Each pull counts as a delivery; a document says how often an export did it, for as long as nobody
 * else has pulled since.
 */

export interface PendingMessage {
  readonly message: StoredMessage
  /** How often workers got it. */
  readonly delivered: number
}

interface PullCount {
  readonly pulls: number
  /** What the consumer had handed out after them. */
  readonly handedOut: number
}

const expiresMs = 5_000

/** What workers got and did not settle, in the order of the log. */
export async function pullPending(
  context: GroupExport,
  group: string,
  { name, stream, info }: GroupInfo,
): Promise<PendingMessage[]> {
  const { connection, log } = context
  const count = info.num_ack_pending
  if (count === 0) return []
  const subject = log.names.doc('export', group, name, stream)
  const stored = await log.state.last(subject)
  const known = stored ? (JSON.parse(stored.text()) as PullCount) : undefined
  const pulls = known?.handedOut === info.delivered.consumer_seq ? known.pulls : 0
  const found: PendingMessage[] = []
  const replies: string[] = []
  let handedOut = info.delivered.consumer_seq
  const { promise: end, resolve } = Promise.withResolvers<void>()
  const inbox = context.newInbox()
  const subscription = connection.subscribe(inbox, message => {
    if (statusOf(message) === 100) return
    if (statusOf(message) !== 0 || !message.reply) return resolve()
    const { seq, subject: at, delivered, consumerSeq, at: storedAt, reply } = ackable(message)
    handedOut = Math.max(handedOut, consumerSeq)
    const header = (key: string) => message.headers?.get(key) ?? ''
    const body = { seq, subject: at, at: storedAt, header, text: () => message.string(), bytes: () => message.data }
    found.push({ message: body, delivered: Math.max(0, delivered - 1 - pulls) })
    replies.push(reply)
    if (found.length === count) resolve()
  })
  try {
    const request = JSON.stringify({ batch: count, expires: expiresMs * 1e6 })
    connection.writeBuffer.send(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`, request, { reply: inbox })
    const timer = setTimeout(resolve, 2 * expiresMs)
    await end
    clearTimeout(timer)
  } finally {
    subscription.unsubscribe()
    // All at the end: what is given back earlier is handed out again.
    for (const reply of replies) connection.writeBuffer.send(reply, '-NAK')
  }
  if (found.length < count)
    throw new TidingsError('E_COPY_REFUSED', `a worker of group "${group}" still holds deliveries; stop it`)
  const next: PullCount = { pulls: pulls + 1, handedOut }
  await log.state.append(subject, JSON.stringify(next))
  return found.toSorted((a, b) => a.message.seq - b.message.seq)
}
