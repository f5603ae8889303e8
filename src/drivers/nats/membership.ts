import type { Filter } from '../../pattern.ts'
import type { LogConnection } from './connection.ts'
import type { NatsLog } from './nats-log.ts'

/** One document says who owns each shard of a group, or each slot of its limit; it changes by compare and swap. Null: none. */
export type Owners = (string | null)[]

export interface MembershipView {
  /** Ids of the live members, in the order in which they joined. */
  readonly members: readonly string[]
  readonly filters: readonly Filter[]
  readonly owners: Owners
  readonly revision: number
}

interface MembershipOptions {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly group: string
  /** Id of this member. */
  readonly id: string
  readonly filter: Filter
  readonly leaseMs: number
  readonly onChange: () => void
}

/**
 * The members of a group and the owners of its shards. A member is a document that expires unless it is renewed. Changes
 * arrive as messages on the subjects of the documents.
 */
export class Membership {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #group: string
  readonly #id: string
  readonly #filter: Filter
  readonly #leaseMs: number
  readonly #known = new Set<string>()
  readonly #subscriptions

  constructor({ connection, log, group, id, filter, leaseMs, onChange }: MembershipOptions) {
    this.#connection = connection
    this.#log = log
    this.#group = group
    this.#id = id
    this.#filter = filter
    this.#leaseMs = leaseMs
    const { names } = log
    const joined = (subject: string) => {
      const member = memberIn(subject)
      return !this.#known.has(member) && this.#known.add(member)
    }
    this.#subscriptions = [
      connection.subscribe(names.doc('member', group, '*'), message => {
        if (message.data.length === 0) this.#known.delete(memberIn(message.subject))
        if (message.data.length === 0 || joined(message.subject)) onChange()
      }),
      connection.subscribe(names.doc('owner', group), () => onChange()),
    ]
  }

  async renew(): Promise<void> {
    const ttl = `${Math.max(1, Math.ceil(this.#leaseMs / 1_000))}s`
    await this.#log.state.append(this.#subject, JSON.stringify(this.#filter), { 'Nats-TTL': ttl })
  }

  async read(): Promise<MembershipView> {
    // The owners first: each of them was a member when it became one, so without a document it is none any more.
    const stored = await this.#log.state.last(this.#log.names.doc('owner', this.#group))
    const owners = stored ? (JSON.parse(stored.text()) as Owners) : []
    const found = new Map<string, Filter>()
    for (const { subject, text } of await this.#log.state.documents(this.#subjectOf('*')))
      if (text() !== '') found.set(memberIn(subject), JSON.parse(text()) as Filter)
    return { members: [...found.keys()].toSorted(), filters: [...found.values()], owners, revision: stored?.seq ?? 0 }
  }

  /** False if another member changed it since it was read. */
  async claim(owners: Owners, revision: number): Promise<boolean> {
    const subject = this.#log.names.doc('owner', this.#group)
    return (await this.#log.state.putAfter(revision, subject, JSON.stringify(owners))) !== undefined
  }

  /** Leaves the group and notifies the others, so that they need not wait for the lease to expire. */
  async leave(): Promise<void> {
    this.stop()
    await this.#log.state.append(this.#subject, '', { 'Nats-TTL': '1s' })
  }

  stop(): void {
    for (const subscription of this.#subscriptions) if (!this.#connection.nc.isClosed()) subscription.unsubscribe()
  }

  get #subject(): string {
    return this.#subjectOf(this.#id)
  }

  #subjectOf(member: string): string {
    return this.#log.names.doc('member', this.#group, member)
  }
}

const memberIn = (subject: string) => subject.split('.').at(-1)!
