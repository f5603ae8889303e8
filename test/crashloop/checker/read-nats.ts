import { DeliverPolicy, jetstream, jetstreamManager, type StoredMsg } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { isRead, type Logged, type LogReader, type SetAside, type WireEvent } from './wire.ts'

/* The streams of a log on a NATS server, as docs/nats.md describes them. */

/** Where the lines of a turn lie when they are more than the server takes in one message. */
const turnTenant = 'tidings-turns'

/** Reads the log at an address such as `nats://127.0.0.1:4222/LOG?timeout=60000`. */
export async function readNats(address: string): Promise<LogReader> {
  const { host, pathname } = new URL(address)
  const log = pathname.slice(1)
  const connection = await connect({ servers: host, maxReconnectAttempts: -1, waitOnFirstConnect: true })
  const streams = (await jetstreamManager(connection)).streams
  const { consumers } = jetstream(connection)

  const last = (stream: string, subject: string) => streams.getMessage(stream, { last_by_subj: subject })

  async function blob(tenant: string, ref: string): Promise<string> {
    const subject = `${log}.b.${tenant}.${ref.replace('sha256-', '')}`
    const parts: Uint8Array[] = []
    for (let chunk = 0, chunks = 1; chunk < chunks; chunk++) {
      const found: StoredMsg | null = await last(`${log}_blobs`, `${subject}.${chunk}`)
      if (!found) throw new Error(`the blob ${ref} of ${tenant} is missing`)
      chunks = Number(found.header.get('Tidings-Chunks'))
      parts.push(found.data)
    }
    return Buffer.concat(parts).toString()
  }

  async function whole(event: WireEvent): Promise<WireEvent> {
    if (event.dataref === undefined || !isRead(event)) return event
    return { ...event, data: JSON.parse(await blob(event.tenant, event.dataref)) as unknown }
  }

  /** A turn is the first line of its message; its events follow as messages of their own. */
  async function turnOf(text: string, body: string | undefined): Promise<WireEvent> {
    const [line] = (body ? await blob(turnTenant, body) : text).split('\n')
    return whole(JSON.parse(line!) as WireEvent)
  }

  /** Up to which sequence each partition was read. */
  const readTo = new Map((await partitions()).map(stream => [stream, 0]))

  async function partitions(): Promise<string[]> {
    const { config } = await streams.info(`${log}_state`)
    const count = Number(config.metadata?.['tidings-partitions'] ?? 1)
    return count === 1 ? [log] : Array.from({ length: count }, (_, partition) => `${log}_${partition}`)
  }

  async function* unreadIn(stream: string): AsyncGenerator<Logged> {
    const { state } = await streams.info(stream)
    const from = readTo.get(stream)! + 1
    if (state.last_seq < from) return
    const consumer = await consumers.get(stream, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from })
    const messages = await consumer.consume({ max_messages: 500 })
    for await (const message of messages) {
      readTo.set(stream, message.seq)
      const kind = message.subject.slice(log.length + 1, log.length + 2)
      if (kind === 'e') yield { position: message.seq, event: await whole(message.json<WireEvent>()) }
      if (kind === 't')
        yield { position: message.seq, event: await turnOf(message.string(), message.headers?.get('Tidings-Body')) }
      if (message.seq >= state.last_seq) break
    }
    await messages.close()
    await consumer.delete()
  }

  return {
    async *unread(): AsyncGenerator<Logged> {
      for (const stream of readTo.keys()) yield* unreadIn(stream)
    },
    async setAside() {
      const found: SetAside[] = []
      const { state } = await streams.info(`${log}_state`, { subjects_filter: `${log}.s.aside.>` })
      for (const subject of Object.keys(state.subjects ?? {})) {
        const message = await last(`${log}_state`, subject)
        if (!message) continue
        const { reason, event } = message.json<{ reason: string; event?: { id: string } }>()
        found.push({ state: subject.split('.').at(-2)!, reason, ...(event && { event: event.id }) })
      }
      return found
    },
    close: () => connection.close(),
  }
}
