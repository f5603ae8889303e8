import { randomUUID } from 'node:crypto'
import type { Msg } from '@nats-io/transport-node'
import { statusOf, Unanswered } from './answers.ts'
import type { Link } from './link.ts'
import { pulled } from './puller.ts'
import type { StoredMessage } from './stream.ts'

const batchSize = 1_000
const answerMs = 5_000
const inactiveMs = 60_000
const nanos = 1_000_000

/**
 * Reads the newest message of each subject without its body, by a consumer that is kept nowhere. No more is asked for than is
 * taken. @throws TidingsError: it must be begun again
 */
export async function* newestHeaders(link: Link, stream: string, subject: string): AsyncGenerator<StoredMessage> {
  const name = randomUUID()
  const config = {
    name,
    deliver_policy: 'last_per_subject',
    filter_subject: subject,
    headers_only: true,
    ack_policy: 'none',
    replay_policy: 'instant',
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: inactiveMs * nanos,
  }
  const request = { stream_name: stream, config }
  const { num_pending } = await link.persist(() =>
    link.api<{ num_pending: number }>(`CONSUMER.CREATE.${stream}.${name}`, request),
  )
  try {
    for (let left = num_pending; left > 0; ) {
      const messages = await next(link, stream, name, Math.min(left, batchSize))
      // Purged meanwhile.
      if (messages.length === 0) return
      left -= messages.length
      yield* messages
    }
  } catch (error) {
    throw link.told(error)
  } finally {
    // The server forgets it anyway, later.
    await link.api(`CONSUMER.DELETE.${stream}.${name}`).catch(() => {})
  }
}

/** @throws Unanswered: some messages may be lost */
async function next(link: Link, stream: string, consumer: string, batch: number): Promise<StoredMessage[]> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const messages: StoredMessage[] = []
  const inbox = `_INBOX.${randomUUID()}`
  const subscription = link.subscribe(inbox, message => {
    const status = statusOf(message)
    if (status === 0) messages.push(delivered(message))
    else if (status !== 404 && status !== 408) reject(new Unanswered(`status ${status}`))
    if (status !== 0 || messages.length === batch) resolve()
  })
  const timer = setTimeout(reject, answerMs, new Unanswered('no answer in time'))
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`
  link.outbox.send(subject, JSON.stringify({ batch, no_wait: true }), { reply: inbox })
  try {
    await promise
    return messages
  } finally {
    clearTimeout(timer)
    if (!subscription.isClosed()) subscription.unsubscribe()
  }
}

function delivered(message: Msg): StoredMessage {
  const { seq, subject, at } = pulled(message)
  const header = (name: string) => message.headers?.get(name) ?? ''
  return { seq, subject, at, header, text: () => message.string(), bytes: () => message.data }
}
