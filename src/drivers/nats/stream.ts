import { randomUUID } from 'node:crypto'
import type { Msg } from '@nats-io/transport-node'
import { answerOf, codes, headersOf, isTransient, Refused, statusOf, Unanswered } from './answers.ts'
import type { LogConnection } from './connection.ts'
import { HeaderConsumer } from './header-consumer.ts'
import { fromDirectGet, fromLeader, type LeaderMessage, type StoredMessage } from './stored-message.ts'

export interface Acknowledged {
  readonly seq: number
  readonly duplicate?: boolean
}

export interface Message {
  readonly subject: string
  readonly body: string | Uint8Array
  readonly headers: Record<string, string | number>
}

export interface ScanOptions {
  /** Subject, with wildcards; everything by default. */
  readonly subject?: string
  readonly from?: number
  readonly until?: number
  /** Instead of `from`: the first message that was stored at this moment or later. */
  readonly since?: Date
  /** How many messages are asked for first; the number grows with each page. */
  readonly page?: number
}

const pageMessages = 256
const newestMessages = 1_000
const pageBytes = 2 * 1024 * 1024
export const msgId = 'Nats-Msg-Id'
const lastSubjectSequence = 'Nats-Expected-Last-Subject-Sequence'

/** One stream on the server: appends, with and without a fence, and reads. */
export class Stream {
  readonly name: string
  /** What was stored before this sequence was lost with an earlier stream of this name. */
  beginsAt: number
  readonly #connection: LogConnection
  readonly #replicated: boolean

  constructor(
    connection: LogConnection,
    name: string,
    { replicas, beginsAt = 1 }: { replicas: number; beginsAt?: number | undefined },
  ) {
    this.#connection = connection
    this.name = name
    this.beginsAt = beginsAt
    this.#replicated = replicas > 1
  }

  /** Stores a message. Retried after a lost answer, so it needs an id or must be idempotent. */
  append(subject: string, body: string | Uint8Array, headers?: Record<string, string | number>): Promise<Acknowledged> {
    const encoded = headers && headersOf(headers)
    return this.#connection.ask(subject, body, encoded)
  }

  /**
   * Stores a message only if `expect` is the sequence of the newest on its subject (0: there is none). Undefined when it
   * is not. @throws Unanswered: it is not known
   */
  async appendAfter(expect: number, message: Message): Promise<number | undefined> {
    const headers = headersOf({ [lastSubjectSequence]: expect, ...message.headers })
    try {
      return answerOf<Acknowledged>(await this.#connection.request(message.subject, message.body, headers)).seq
    } catch (error) {
      if (error instanceof Refused && codes.wrongLastSequence.includes(error.code)) return undefined
      throw error
    }
  }

  /** As `appendAfter`, decided also after a lost answer: `mark` is a header by which the writer knows its own message. */
  putAfter(
    expect: number,
    subject: string,
    body: string,
    headers: Record<string, string | number> = {},
  ): Promise<number | undefined> {
    const mark = randomUUID()
    let wasSent = false
    return this.#connection.retryUntilAnswered(async () => {
      if (wasSent) {
        const last = await this.last(subject)
        if (last?.header('Tidings-By') === mark) return last.seq
      }
      wasSent = true
      return this.appendAfter(expect, { subject, body, headers: { ...headers, 'Tidings-By': mark } })
    })
  }

  /**
   * All or nothing, by an atomic batch. Returns the sequence of the last message; the others lie right before it.
   * @throws Refused with `batchHasDuplicate` when an id is there already, Unanswered
   */
  async appendBatch(messages: readonly Message[]): Promise<number> {
    const batch = randomUUID()
    return new Promise((resolve, reject) => {
      messages.forEach(({ subject, body, headers }, i) => {
        const isLast = i === messages.length - 1
        const encoded = headersOf({
          ...headers,
          'Nats-Batch-Id': batch,
          'Nats-Batch-Sequence': i + 1,
          ...(isLast && { 'Nats-Batch-Commit': 1 }),
        })
        if (!isLast && i > 0) return this.#connection.writeBuffer.send(subject, body, { headers: encoded })
        const reply = (message: Msg) => {
          try {
            if (statusOf(message) === codes.noResponders) throw new Refused(codes.noResponders, 'no stream answers')
            // The answer to the first message is empty, or says that the batch cannot begin.
            if (message.data.length > 0) {
              const { seq } = answerOf<Acknowledged>(message)
              if (isLast) resolve(seq)
            }
          } catch (error) {
            reject(error)
          }
          return true
        }
        this.#connection.send(subject, body, reply, reject, encoded)
      })
    })
  }

  /**
   * The sequence under which an id was stored, if that was within the window in which the server knows ids. Asks by a
   * message that can never be stored, since the server looks for the id before it looks at the condition.
   */
  async find(subject: string, id: string): Promise<number | undefined> {
    // A single server and a cluster check in different orders; each condition comes after the id on its kind.
    const never = this.#replicated
      ? { 'Nats-Expected-Last-Sequence': Number.MAX_SAFE_INTEGER }
      : { 'Nats-Expected-Last-Msg-Id': '-' }
    const headers = headersOf({ [msgId]: id, ...never })
    return this.#connection.retryUntilAnswered(async () => {
      try {
        return answerOf<Acknowledged>(await this.#connection.request(subject, '', headers)).seq
      } catch (error) {
        if (error instanceof Refused && !isTransient(error)) return undefined
        throw error
      }
    })
  }

  at(seq: number): Promise<StoredMessage | undefined> {
    return this.#get({ seq })
  }

  /** The newest message of a subject, as the leader sees it. */
  last(subject: string): Promise<StoredMessage | undefined> {
    return this.#get({ last_by_subj: subject })
  }

  /** The first message of a subject at this sequence or after it, as the leader sees it. */
  next(subject: string, seq: number): Promise<StoredMessage | undefined> {
    return this.#get({ next_by_subj: subject, seq: Math.max(1, seq) })
  }

  /** How many messages a subject with wildcards has. */
  async count(subject: string): Promise<number> {
    const { messages, pending } = await this.#page({ next_by_subj: subject, seq: 1 }, 1)
    return messages.length + pending
  }

  async head(): Promise<number> {
    const last = await this.last('>')
    return last?.seq ?? (await this.info()).state.last_seq
  }

  info(): Promise<StreamInfo> {
    return this.#connection.retryUntilAnswered(() => this.#connection.api<StreamInfo>(`STREAM.INFO.${this.name}`))
  }

  /** Everything of a subject that is there now, in order, a page at a time: memory is bounded whatever the length. */
  async *scan({
    subject = '>',
    from = 1,
    until,
    since,
    page = pageMessages,
  }: ScanOptions = {}): AsyncGenerator<StoredMessage> {
    const end = until ?? (await this.head())
    let next = Math.max(1, from)
    let start = since
    for (let size = page; next <= end; ) {
      const { messages, pending } = await this.#page(
        { next_by_subj: subject, ...(start ? { start_time: start.toISOString() } : { seq: next }) },
        size,
      )
      start = undefined
      for (const message of messages) {
        if (message.seq > end) return
        next = message.seq + 1
        yield message
      }
      size = Math.min(Math.max(messages.length, 1) * 4, pageMessages)
      if (pending > 0 || next > end) continue
      // A replica that lags behind the leader has no more although there is more.
      if (!this.#replicated || !(await this.#isMissing(subject, next, end))) return
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  /** The documents of a subject. One that is rewritten meanwhile moves to the end of the stream, so the end is not fixed. */
  async documents(subject: string): Promise<StoredMessage[]> {
    const found = new Map<string, StoredMessage>()
    for await (const document of this.scan({ subject, until: Infinity })) found.set(document.subject, document)
    return [...found.values()]
  }

  /**
   * The newest message of each subject that a subject with wildcards matches. The server answers for up to 1,024 at once;
   * of more, all messages are read.
   */
  async lastOfEach(subject: string): Promise<StoredMessage[]> {
    const newest = await this.last(subject)
    if (!newest) return []
    for (;;) {
      const found = await this.#lastOfEach(subject)
      if (!found) break
      // A replica that lags behind the leader does not know the newest.
      if (found.some(({ seq }) => seq >= newest.seq)) return found
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    const bySubject = new Map<string, StoredMessage>()
    for await (const message of this.scan({ subject, until: newest.seq })) bySubject.set(message.subject, message)
    return [...bySubject.values()]
  }

  /** Undefined if there are too many subjects for the server. */
  async #lastOfEach(subject: string): Promise<StoredMessage[] | undefined> {
    const found: StoredMessage[] = []
    for (;;) {
      const from = found.length > 0 ? { seq: found.at(-1)!.seq + 1 } : {}
      const { messages, pending } = await this.#page({ multi_last: [subject], ...from }, pageMessages)
      if (pending === Infinity) return undefined
      found.push(...messages)
      if (pending === 0 || messages.length === 0) return found
    }
  }

  /** As `scan` of a range, without the bodies. Ends only when the leader has no more of the subject up to `until`. */
  async *scanHeaders(subject: string, from: number, until: number): AsyncGenerator<StoredMessage> {
    let consumer: HeaderConsumer | undefined
    try {
      for (let next = Math.max(1, from); next <= until; ) {
        const { messages, isLast } = await this.#connection.retryUntilAnswered(async () => {
          if (consumer?.isBroken) {
            consumer.close()
            consumer = undefined
          }
          const range = { deliver_policy: 'by_start_sequence', opt_start_seq: next, filter_subject: subject }
          consumer ??= await HeaderConsumer.open(this.#connection, this.name, range)
          return consumer.next(pageMessages)
        })
        for (const message of messages) {
          if (message.seq > until) return
          next = message.seq + 1
          yield message
        }
        if (!isLast || next > until) continue
        // A consumer on a replica that lags behind the leader has no more although there is more.
        if (!(await this.#isMissing(subject, next, until))) return
        await new Promise(resolve => setTimeout(resolve, 5))
      }
    } finally {
      consumer?.close()
    }
  }

  /**
   * The newest message of each subject that matches, without its body, as they are when it begins.
   * @throws TidingsError: start over
   */
  async *newestHeaders(subject: string): AsyncGenerator<StoredMessage> {
    const settings = { deliver_policy: 'last_per_subject', filter_subject: subject }
    const consumer = await this.#connection.retryUntilAnswered(() =>
      HeaderConsumer.open(this.#connection, this.name, settings),
    )
    try {
      for (let isLast = false; !isLast; ) {
        const page = await consumer.next(newestMessages)
        yield* page.messages
        if (consumer.isBroken) throw new Unanswered('a delivery was lost')
        isLast = page.isLast
      }
    } catch (error) {
      throw this.#connection.toTidingsError(error)
    } finally {
      consumer.close()
    }
  }

  /** Removes everything of a subject before a sequence; the number of messages that were removed. */
  async purge(subject: string, before?: number): Promise<number> {
    const body = { filter: subject, ...(before !== undefined && { seq: before }) }
    const { purged } = await this.#connection.retryUntilAnswered(() =>
      this.#connection.api<{ purged: number }>(`STREAM.PURGE.${this.name}`, body),
    )
    return purged
  }

  /** Lets an empty stream begin with this sequence. */
  async startAt(seq: number): Promise<void> {
    await this.#connection.retryUntilAnswered(() => this.#connection.api(`STREAM.PURGE.${this.name}`, { seq }))
  }

  /** Removes one message; false when it is not there any more. */
  remove(seq: number): Promise<boolean> {
    return this.#connection.retryUntilAnswered(async () => {
      try {
        await this.#connection.api(`STREAM.MSG.DELETE.${this.name}`, { seq, no_erase: true })
        return true
      } catch (error) {
        if (error instanceof Refused && !isTransient(error)) return false
        throw error
      }
    })
  }

  async #isMissing(subject: string, from: number, end: number): Promise<boolean> {
    const next = await this.next(subject, from)
    return next !== undefined && next.seq <= end
  }

  #get(request: Record<string, unknown>): Promise<StoredMessage | undefined> {
    return this.#connection.retryUntilAnswered(() =>
      this.#replicated ? this.#fromLeader(request) : this.#direct(request),
    )
  }

  async #direct(request: Record<string, unknown>): Promise<StoredMessage | undefined> {
    const answer = await this.#connection.request(`$JS.API.DIRECT.GET.${this.name}`, JSON.stringify(request))
    if (statusOf(answer) === 404) return undefined
    return fromDirectGet(answer)
  }

  async #fromLeader(request: Record<string, unknown>): Promise<StoredMessage | undefined> {
    try {
      const { message } = await this.#connection.api<{ message: LeaderMessage }>(`STREAM.MSG.GET.${this.name}`, request)
      return fromLeader(message)
    } catch (error) {
      if (error instanceof Refused && error.code === codes.noMessage) return undefined
      throw error
    }
  }

  /** After each timeout it requests a quarter as many, so that a busy server does not get the same work again. */
  #page(request: Record<string, unknown>, atMost: number): Promise<{ messages: StoredMessage[]; pending: number }> {
    let batch = atMost
    return this.#connection.retryUntilAnswered(
      () =>
        new Promise((resolve, reject) => {
          const messages: StoredMessage[] = []
          const reply = (message: Msg) => {
            const status = statusOf(message)
            if (status === 0) {
              messages.push(fromDirectGet(message))
              return false
            }
            if (status === codes.noResponders) reject(new Refused(status, `stream ${this.name} does not answer`))
            else if (status === 204) resolve({ messages, pending: Number(message.headers!.get('Nats-Num-Pending')) })
            else if (status === 404) resolve({ messages, pending: 0 })
            else if (status === codes.tooManyResults) resolve({ messages, pending: Infinity })
            else reject(new Unanswered(`status ${status}`))
            return true
          }
          const body = JSON.stringify({ ...request, batch, max_bytes: pageBytes })
          batch = Math.ceil(batch / 4)
          this.#connection.send(`$JS.API.DIRECT.GET.${this.name}`, body, reply, reject)
        }),
    )
  }
}

export interface StreamInfo {
  readonly config: {
    readonly subjects: readonly string[]
    readonly num_replicas: number
    /** Absent unless the stream replaces one that was lost. */
    readonly first_seq?: number
    /** In ns. */
    readonly duplicate_window: number
    readonly metadata?: Record<string, string>
  }
  /** The clock of the server, in ISO 8601. */
  readonly ts: string
  readonly state: {
    readonly messages: number
    readonly first_seq: number
    readonly last_seq: number
    readonly bytes: number
  }
}
