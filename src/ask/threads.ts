import { hash, randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { isMessagePart } from '../tasks/conversation.ts'
import { ThreadHistory } from './thread-history.ts'

/*
 * The threads of users. A thread is a document with its correlation, so that its events are found by the time in the id. A list of names for
 * each user finds the documents:
 *
 *     thread/TENANT/…      { thread, correlationid, title, … } written at each request, and gone 90 days after the last one
 *     threads/TENANT/…     [name, …]                                     of a user, about in the order of their last use
 *
 * A request moves its name to the front of the list only if it has to, so that most requests write one document, and a list with a recent
 * name lives as long as the thread.
 */

/** How long a thread is kept after its last request. Its events are kept as long as all events. */
const keptMs = 90 * 24 * 3_600_000
/** The list was last written on the day of the last request, or later. */
const listKeptMs = keptMs + 24 * 3_600_000
/** How long a deleted thread is known as such, so that a slower writer does not bring it back. */
const tombstoneMs = 60_000
const maxListed = 1_000
/** The names before this one are far from the end of the list. */
const settledAt = maxListed / 2
const dayLength = 'YYYY-MM-DD'.length
const maxTitleChars = 80

/** A conversation between a user and an agent. */
export interface Thread {
  /** Its name, as the caller gave it. */
  readonly thread: string
  readonly title: string
  /** The agent or workflow that it is a conversation with. */
  readonly target: string
  /** The correlation of all its requests. */
  readonly correlationid: string
  /** RFC 3339, in UTC. */
  readonly createdAt: string
  /** Time of the last request. */
  readonly updatedAt: string
}

/** Whose threads: those of other tenants and users are not found. */
export interface ThreadOwner {
  readonly tenant: string
  readonly user?: string | undefined
}

/** The threads of one user, or of a tenant's requests without a user. */
export class Threads {
  readonly #bus: Bus
  readonly #owner: ThreadOwner

  constructor(bus: Bus, owner: ThreadOwner) {
    this.#bus = bus
    this.#owner = owner
  }

  /**
   * The thread that a request belongs to; a new one if there is none. `input`: of the request, whose beginning is the title.
   * @throws E_REQUEST_INVALID if it is a conversation with another agent
   */
  async open(thread: string, target: string, input: unknown): Promise<Thread> {
    const now = new Date(this.#bus.now()).toISOString()
    const title = this.#bus.redactor.text(titleOf(input))
    const created = { thread, title, target, correlationid: randomUUIDv7(), createdAt: now, updatedAt: now }
    let before = ''
    const opened = await this.#update(thread, current => {
      if (current && current.target !== target) throw otherAgent(current, target)
      before = current?.updatedAt ?? ''
      return current ? { ...current, updatedAt: now } : created
    })
    const isFirstToday = before.slice(0, dayLength) !== now.slice(0, dayLength)
    await this.#updateNames(names => {
      const at = names.indexOf(thread)
      if (!isFirstToday && at >= 0 && at < settledAt) return names
      return [thread, ...names.filter(name => name !== thread)]
    })
    return opened!
  }

  /** @throws E_NOT_FOUND */
  async get(thread: string): Promise<Thread> {
    const found = await this.find(thread)
    if (found) return found
    throw new TidingsError('E_NOT_FOUND', `there is no thread ${JSON.stringify(thread.slice(0, maxTitleChars))}`, {
      next: 'GET /threads lists the threads of a user. A thread is gone 90 days after its last request.',
    })
  }

  /** The last one that was used first. */
  async list(): Promise<Thread[]> {
    const names = (await this.#bus.documents.read<string[]>(this.#namesKey())) ?? []
    const found = await Promise.all(names.map(name => this.find(name)))
    return found.filter(thread => thread !== undefined).toSorted((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1))
  }

  /** @throws E_NOT_FOUND */
  async rename(thread: string, title: string): Promise<Thread> {
    const shown = this.#bus.redactor.text(title)
    const renamed = await this.#update(thread, current => current && { ...current, title: shown })
    return renamed ?? this.get(thread)
  }

  /** The next request with this name begins a new thread. The events stay as long as all events. @throws E_NOT_FOUND */
  async delete(thread: string): Promise<void> {
    const found = await this.get(thread)
    await this.#updateNames(names => names.filter(name => name !== thread))
    const tombstone = { ...found, isDeleted: true }
    await this.#bus.documents.update<StoredThread>(this.#key(thread), () => tombstone, {
      namesOnly: true,
      ttlMs: tombstoneMs,
    })
  }

  /** What the log has of a thread; empty for one that is not known. */
  async history(thread: string): Promise<ThreadHistory> {
    return ThreadHistory.read(this.#bus, (await this.find(thread))?.correlationid)
  }

  async find(thread: string): Promise<Thread | undefined> {
    return undeleted(await this.#bus.documents.read<StoredThread>(this.#key(thread)))
  }

  async #update(
    thread: string,
    change: (current: Thread | undefined) => Thread | undefined,
  ): Promise<Thread | undefined> {
    const options = { namesOnly: true, ttlMs: keptMs }
    const changed = (found?: StoredThread) => change(undeleted(found))
    return undeleted((await this.#bus.documents.update<StoredThread>(this.#key(thread), changed, options)).value)
  }

  async #updateNames(change: (names: string[]) => string[]): Promise<void> {
    const options = { namesOnly: true, ttlMs: listKeptMs }
    const changed = (names: string[] = []) => {
      const next = change(names)
      return next.length > maxListed ? next.slice(0, maxListed) : next
    }
    await this.#bus.documents.update<string[]>(this.#namesKey(), changed, options)
  }

  #key(thread: string): string {
    const { tenant, user } = this.#owner
    return `thread/${tenant}/${hash('sha256', JSON.stringify([user ?? null, thread]))}`
  }

  #namesKey(): string {
    const { tenant, user } = this.#owner
    return `threads/${tenant}/${user === undefined ? '-' : hash('sha256', user)}`
  }
}

const otherAgent = ({ thread, target }: Thread, asked: string) =>
  new TidingsError(
    'E_REQUEST_INVALID',
    `the thread ${JSON.stringify(thread)} is a conversation with "${target}", which "${asked}" does not know`,
    { next: `Give "${asked}" a thread of its own, or let "${target}" call it or hand over to it.` },
  )

type StoredThread = Thread & { readonly isDeleted?: boolean }

const undeleted = (stored: StoredThread | undefined): Thread | undefined => (stored?.isDeleted ? undefined : stored)

/** In a list of parts of a message. */
const firstText = (input: unknown): string | undefined =>
  Array.isArray(input) ? input.find(part => isMessagePart(part) && part.type === 'text')?.text : undefined

/** The beginning of the first text in an input. */
function titleOf(input: unknown): string {
  const text = typeof input === 'string' ? input : (firstText(input) ?? JSON.stringify(input))
  const line = text.trim().split('\n', 1)[0]!
  return line.length <= maxTitleChars ? line : `${line.slice(0, maxTitleChars - 1)}…`
}
