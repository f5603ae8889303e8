import { randomUUID } from 'node:crypto'
import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV7,
  leaveGroupV4,
  syncGroupV5,
} from '@platformatic/kafka'
import { assignUnits, type UnitClaim } from './assign-units.ts'
import type { KafkaCluster, Receiver } from './cluster.ts'
import { KafkaRefusal } from './refusal.ts'

/** Under which the broker accepts offsets of this member. */
export interface MemberIdentity {
  readonly memberId: string
  readonly generation: number
}

export interface MembershipOptions {
  readonly cluster: KafkaCluster
  /** The consumer group of the cluster. */
  readonly group: string
  /** Whose partitions the units are, for tools that list groups. */
  readonly topic: string
  /** A member that is not heard of for this long is gone. */
  readonly leaseMs: number
  /** The number of units of a group with this limit; undefined for none. */
  readonly countUnits: (limit: number | undefined) => number
  /** What this member knows as the limit of the group. The smallest one of all members counts. */
  readonly limit?: number
  /** The members are about to share the units again. */
  readonly onJoining: () => void
  /** They have done so; these units are new, under this limit. Resolves when they are in use. */
  readonly onAssigned: (units: readonly number[], limit: number | undefined) => Promise<void>
  /** These units are for other members. Resolves when this member has given them back. */
  readonly onRevoked: (units: readonly number[]) => Promise<void>
  /** The membership is over, and these units may have other owners already. */
  readonly onLost: (units: readonly number[]) => void
}

/** What a member says of itself besides the units that it has. */
interface MemberData {
  readonly takesUnits: boolean
  readonly limit?: number | undefined
  readonly ownedUnder?: number | undefined
}

interface Assignment {
  readonly units: readonly number[]
  readonly limit: number | undefined
}

type JoinGroupResponse = Awaited<ReturnType<typeof joinGroupV7.api.async>>

const protocol = 'tidings'
const over = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])
const minHeartbeatMs = 100
const maxHeartbeatMs = 1_000
const retryDelayMs = 250

/**
 * A member of a consumer group of the cluster (classic protocol), without any reading through it: the group says only who owns which unit. A
 * unit is a partition, or several of them. Members keep their units while the group rebalances, and give one back only when they
 * are done with it; then they join again without it.
 */
export class GroupMembership {
  readonly #options: MembershipOptions
  readonly #coordinator: Receiver
  /** A connection of its own: the broker answers a member that joins only when all the others have joined, too. */
  readonly #lane = `member ${randomUUID()}`
  readonly #owned = new Set<number>()
  readonly #revoking = new Set<number>()
  /** Under which the owned units were assigned. */
  #limit: number | undefined
  #memberId = ''
  #generation = -1
  /** When the broker last knew this member, by the monotonic clock. */
  #contactAt = -Infinity
  #isStable = false
  #takesUnits = true
  #isClosed = false
  #mustJoin = false
  #running: Promise<void> | undefined
  #nudge = Promise.withResolvers<void>()
  #stable = Promise.withResolvers<void>()
  #confirmation = Promise.withResolvers<void>()
  #assigning: Promise<void> = Promise.resolve()

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#coordinator = { coordinator: 'group', key: options.group }
  }

  /** Resolves when the first units are in use. @throws E_LOG_UNAVAILABLE, KafkaRefusal */
  async start(): Promise<void> {
    await this.#join()
    this.#running = this.#run()
    await this.#assigning
  }

  get identity(): MemberIdentity {
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** False: the broker may have given the units to other members. */
  get isValid(): boolean {
    return performance.now() - this.#contactAt < this.#options.leaseMs
  }

  owns(unit: number): boolean {
    return this.#owned.has(unit) && !this.#revoking.has(unit)
  }

  /** Resolves when the broker has confirmed this member once more. */
  confirmed(): Promise<void> {
    return this.#confirmation.promise
  }

  /** Resolves when the members have shared the units, after a change. */
  async settled(): Promise<void> {
    while (!this.#isStable && !this.#isClosed) await this.#stable.promise
  }

  /** Gives back all units as soon as possible, and takes no others. */
  retire(): void {
    if (!this.#takesUnits) return
    this.#takesUnits = false
    this.joinAgain()
  }

  /** The units must be shared again. */
  joinAgain(): void {
    this.#mustJoin = true
    this.#nudge.resolve()
  }

  /** Loses all units, and joins as a new member. */
  restart(): void {
    this.#lose()
    this.joinAgain()
  }

  /** Leaves, so that the others take over at once. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#nudge.resolve()
    this.#stable.resolve()
    const { cluster } = this.#options
    if (this.#memberId !== '')
      // On a lane of its own: the other one may wait for the rest of the group.
      await cluster
        .ask(leaveGroupV4.api, this.#coordinator, [this.#options.group, [{ memberId: this.#memberId }]], {
          lane: 'groups',
          timeoutMs: Math.min(2_000, cluster.timeoutMs),
          isRepeatable: true,
        })
        .catch(() => {})
    await cluster.closeLane(this.#lane)
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        if (this.#mustJoin) await this.#join()
        else await this.#heartbeat()
      } catch {
        // The broker is away, or refuses for now.
        if (!this.#isClosed) await this.#pause(retryDelayMs)
      }
    }
  }

  async #heartbeat(): Promise<void> {
    const intervalMs = Math.min(maxHeartbeatMs, Math.max(minHeartbeatMs, this.#options.leaseMs / 10))
    await this.#pause(intervalMs)
    if (this.#mustJoin || this.#isClosed) return
    const sentAt = performance.now()
    try {
      await this.#options.cluster.ask(
        heartbeatV4.api,
        this.#coordinator,
        [this.#options.group, this.#generation, this.#memberId],
        { lane: this.#lane, isRepeatable: true, timeoutMs: this.#options.leaseMs / 3 },
      )
      this.#contactAt = sentAt
      this.#confirmation.resolve()
      this.#confirmation = Promise.withResolvers()
    } catch (error) {
      if (!(error instanceof KafkaRefusal)) throw error
      if (over.has(error.code)) this.#lose()
      else if (error.code !== 'REBALANCE_IN_PROGRESS') throw error
      this.#mustJoin = true
    }
  }

  /** Joins, and takes part in sharing the units. */
  async #join(): Promise<void> {
    this.#isStable = false
    this.#options.onJoining()
    for (;;) {
      if (this.#isClosed) return
      this.#mustJoin = false
      const sentAt = performance.now()
      try {
        const joined = await this.#askToJoin()
        this.#memberId = joined.memberId
        this.#generation = joined.generationId
        const assignment = await this.#sync(joined)
        this.#contactAt = sentAt
        this.#apply(assignment)
        return
      } catch (error) {
        this.#mustJoin = true
        if (!(error instanceof KafkaRefusal)) throw error
        if (error.code === 'MEMBER_ID_REQUIRED') this.#memberId = memberIdIn(error)
        else if (over.has(error.code)) this.#lose()
        else if (error.code !== 'REBALANCE_IN_PROGRESS') throw error
      }
    }
  }

  #askToJoin(): Promise<JoinGroupResponse> {
    const { cluster, group, topic, leaseMs, limit } = this.#options
    const metadata = encodeConsumerProtocolSubscription({
      version: 2,
      topics: [topic],
      userData: JSON.stringify({ takesUnits: this.#takesUnits, limit, ownedUnder: this.#limit } satisfies MemberData),
      ownedPartitions: [{ topic, partitions: [...this.#owned] }],
      generationId: this.#owned.size > 0 ? this.#generation : -1,
    })
    return cluster.ask(
      joinGroupV7.api,
      this.#coordinator,
      [group, leaseMs, leaseMs, this.#memberId, null, 'consumer', [{ name: protocol, metadata }]],
      { lane: this.#lane, answerTimeoutMs: 3 * leaseMs, isRepeatable: true },
    )
  }

  async #sync({ leader, memberId, generationId, members }: JoinGroupResponse): Promise<Assignment> {
    const { cluster, group, leaseMs } = this.#options
    const assignments = leader === memberId ? this.#assign(members) : []
    const { assignment } = await cluster.ask(
      syncGroupV5.api,
      this.#coordinator,
      [group, generationId, memberId, null, 'consumer', protocol, assignments],
      { lane: this.#lane, answerTimeoutMs: 3 * leaseMs, isRepeatable: true },
    )
    const { assignedPartitions, userData } = decodeConsumerProtocolAssignment(assignment)
    const { limit } = JSON.parse(userData.toString()) as { limit?: number }
    return { units: assignedPartitions.flatMap(({ partitions }) => partitions), limit }
  }

  /** As the member that the broker has chosen for it. */
  #assign(members: JoinGroupResponse['members']): { memberId: string; assignment: Buffer }[] {
    const { topic, countUnits } = this.#options
    const claims = members.map(claimOf)
    const limits = claims.flatMap(({ limit = [] }) => limit)
    const limit = limits.length > 0 ? Math.min(...limits) : undefined
    // A unit may mean something else under another limit: first all of them come back.
    const isOther = claims.some(({ owned, ownedUnder }) => owned.length > 0 && ownedUnder !== limit)
    const units = isOther ? undefined : assignUnits(countUnits(limit), claims)
    return claims.map(({ member }) => ({
      memberId: member,
      assignment: encodeConsumerProtocolAssignment({
        version: 1,
        assignedPartitions: [{ topic, partitions: units?.get(member) ?? [] }],
        userData: JSON.stringify({ limit }),
      }),
    }))
  }

  #apply({ units, limit }: Assignment): void {
    const added = units.filter(unit => !this.#owned.has(unit))
    const revoked = [...this.#owned].filter(unit => !units.includes(unit) && !this.#revoking.has(unit))
    for (const unit of added) this.#owned.add(unit)
    if (added.length > 0) this.#limit = limit
    this.#isStable = true
    this.#stable.resolve()
    this.#stable = Promise.withResolvers()
    if (revoked.length > 0) void this.#giveBack(revoked)
    this.#assigning = this.#options.onAssigned(added, limit)
    // The start waits for it; a unit that cannot be used now is tried again by its owner.
    this.#assigning.catch(() => {})
  }

  async #giveBack(units: readonly number[]): Promise<void> {
    for (const unit of units) this.#revoking.add(unit)
    await this.#options.onRevoked(units)
    for (const unit of units) if (this.#revoking.delete(unit)) this.#owned.delete(unit)
    this.joinAgain()
  }

  #lose(): void {
    const units = [...this.#owned]
    this.#owned.clear()
    this.#revoking.clear()
    this.#memberId = ''
    this.#contactAt = -Infinity
    this.#options.onLost(units)
  }

  async #pause(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#nudge.resolve(), ms)
    await this.#nudge.promise
    clearTimeout(timer)
    this.#nudge = Promise.withResolvers()
  }
}

function claimOf({ memberId, metadata }: JoinGroupResponse['members'][number]): UnitClaim & MemberData {
  const { ownedPartitions, generationId, userData } = decodeConsumerProtocolSubscription(metadata)
  return {
    ...(JSON.parse(userData.toString()) as MemberData),
    member: memberId,
    owned: ownedPartitions.flatMap(({ partitions }) => partitions),
    generation: generationId,
  }
}

/** The broker names the member when it asks it to join again under that name. */
function memberIdIn({ cause }: KafkaRefusal): string {
  return (cause as { response?: JoinGroupResponse }).response?.memberId ?? ''
}
