import { setTimeout as sleep } from 'node:timers/promises'
import { apiVersionsV3, Connection, findCoordinatorV4, metadataV12, type API } from '@platformatic/kafka'
import { TidingsError } from '../../errors.ts'
import { describeThrown } from '../../thrown.ts'
import { shownKafkaAddress, type KafkaAddress } from './address.ts'
import { missingRight, refusedConnection, silentHint } from './denied.ts'
import { topicPartition } from './records.ts'
import { isTransientRefusal, KafkaRefusal, kafkaRefusalOf, staleCoordinator, staleLeader } from './refusal.ts'
import { connectionOptions } from '../../kafka/security.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Which broker a request is for. */
export type Receiver =
  | 'any'
  | 'controller'
  | { readonly node: number }
  | { readonly leader: TopicPartition }
  | { readonly coordinator: 'group' | 'transaction'; readonly key: string }

export interface KafkaAskOptions {
  /**
   * Names a connection of its own to each broker. A broker answers the requests of a connection in order, so what waits long must not
   * share one with other requests.
   */
  readonly lane?: string
  /** The request may be sent again if the connection is lost before the answer. */
  readonly isRepeatable?: boolean
  readonly timeoutMs?: number
  /** How long the broker may take to answer on this lane. Default: as long as any call may take. */
  readonly answerTimeoutMs?: number
}

interface BrokerAddress {
  readonly host: string
  readonly port: number
}

interface ClusterView {
  readonly brokers: ReadonlyMap<number, BrokerAddress>
  readonly controller: number
  /** By topic and partition. */
  readonly leaders: ReadonlyMap<string, number>
  readonly topicIds: ReadonlyMap<string, string>
}

const coordinatorTypes = { group: 0, transaction: 1 }
const maxPauseMs = 250

/** The brokers of a cluster: finds who is meant by a request, connects, and repeats what may succeed a little later. */
export class KafkaCluster {
  readonly address: KafkaAddress
  /** The topics whose leaders are known. */
  readonly topics: string[] = []
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #coordinators = new Map<string, number>()
  #view: Promise<ClusterView> | undefined
  #isClosed = false
  /** Some broker has answered a request. */
  #hasAnswered = false
  /** Of a connection: a broker that refuses a certificate does so after the connection stands, and a request knows only that it was closed. */
  #lastError: unknown

  constructor(address: KafkaAddress) {
    this.address = address
  }

  /** Longest wait for an answer, in ms. */
  get timeoutMs(): number {
    return this.address.timeoutMs ?? 10_000
  }

  /**
   * @throws KafkaRefusal if the broker refuses until the time is over, E_LOG_UNAVAILABLE if there is no answer, E_LOG_UNANSWERED if it is
   * unknown whether a request that is not repeatable was carried out, E_BUS_DENIED, E_BUS_TLS
   */
  async ask<A extends unknown[], R>(
    request: API<A, R>,
    receiver: Receiver,
    args: A,
    options: KafkaAskOptions = {},
  ): Promise<R> {
    const { lane = 'requests', isRepeatable = false, timeoutMs = this.timeoutMs, answerTimeoutMs } = options
    const until = performance.now() + timeoutMs
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
      let isSent = false
      try {
        const connection = await this.#connectionTo(receiver, lane, answerTimeoutMs)
        isSent = true
        return await request.async(connection, ...args)
      } catch (error) {
        const refusal = kafkaRefusalOf(error)
        this.#forget(receiver, refusal)
        const isOver = this.#isClosed || performance.now() + pauseMs > until
        if (refusal && (isOver || !isTransientRefusal(refusal.code)))
          throw missingRight(this.address, refusal, request.key, nameOf(receiver)) ?? refusal
        const refused = refusal ? undefined : refusedConnection(this.address, error)
        if (refused) throw refused
        if (!refusal && isSent && !isRepeatable) throw this.unanswered(error)
        if (isOver) throw this.unavailable(error)
      }
      await sleep(pauseMs)
    }
  }

  /** The broker that leads each partition of the known topics, by `topicPartition`. */
  async leadersByPartition(): Promise<ReadonlyMap<string, number>> {
    return (await this.#metadata()).leaders
  }

  /** The partitions of the known topics by the broker that leads them. */
  async leaders(): Promise<Map<number, TopicPartition[]>> {
    const { leaders } = await this.#metadata()
    const found = new Map<number, TopicPartition[]>()
    for (const [key, node] of leaders) {
      const at = key.lastIndexOf('/')
      const list = found.get(node) ?? []
      list.push({ topic: key.slice(0, at), partition: Number(key.slice(at + 1)) })
      found.set(node, list)
    }
    return found
  }

  /** The ids of all brokers. */
  async nodes(): Promise<number[]> {
    return [...(await this.#metadata()).brokers.keys()]
  }

  /** Changes when a topic is deleted and made again. Undefined if the topic does not exist. */
  async topicId(topic: string): Promise<string | undefined> {
    return (await this.#metadata()).topicIds.get(topic)
  }

  /** 0 if the topic does not exist. */
  async partitionsOf(topic: string): Promise<number> {
    const { leaders } = await this.#metadata()
    return [...leaders.keys()].filter(key => key.slice(0, key.lastIndexOf('/')) === topic).length
  }

  /** The next request looks at the cluster again. */
  refresh(): void {
    this.#view = undefined
  }

  /** Whether the brokers speak transaction protocol 2. */
  async hasTransactionProtocol2(): Promise<boolean> {
    const { apiKeys, finalizedFeatures } = await this.ask(apiVersionsV3.api, 'any', ['tidings', '1'], {
      isRepeatable: true,
    })
    const level = finalizedFeatures?.find(({ name }) => name === 'transaction.version')?.maxVersionLevel ?? 0
    return level >= 2 && apiKeys.some(({ apiKey, maxVersion }) => apiKey === 26 && maxVersion >= 5)
  }

  /** Ends the connections of a lane. */
  async closeLane(lane: string): Promise<void> {
    for (const [key, connecting] of this.#connections) {
      if (!key.endsWith(` ${lane}`)) continue
      this.#connections.delete(key)
      await (await connecting.catch(() => undefined))?.close()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const all = [...this.#connections.values()]
    this.#connections.clear()
    await Promise.all(all.map(async connecting => (await connecting.catch(() => undefined))?.close()))
  }

  /** What a call rejects with, whatever the client or the broker said. */
  toTidingsError(error: unknown): unknown {
    const isOfClient =
      error instanceof KafkaRefusal ||
      (error instanceof Error && String((error as { code?: unknown }).code).startsWith('PLT_KFK_'))
    return isOfClient ? this.unavailable(error) : error
  }

  /** E_LOG_UNAVAILABLE, unless only an operator can change the reason: E_BUS_DENIED, E_BUS_TLS. */
  unavailable(cause: unknown): TidingsError {
    if (cause instanceof TidingsError) return cause
    const refused =
      refusedConnection(this.address, cause) ??
      (this.#hasAnswered ? undefined : refusedConnection(this.address, this.#lastError))
    if (refused) return refused
    const hint = this.#hasAnswered ? '' : silentHint(this.address)
    return new TidingsError('E_LOG_UNAVAILABLE', `${shownKafkaAddress(this.address)}: ${causeText(cause)}${hint}`, {
      retryable: true,
      cause,
    })
  }

  /** The same after a request that was sent: nobody knows whether the broker carried it out. */
  unanswered(cause: unknown): TidingsError {
    const failure = this.unavailable(cause)
    if (!failure.retryable) return failure
    return new TidingsError('E_LOG_UNANSWERED', failure.message, { retryable: true, cause })
  }

  async #connectionTo(receiver: Receiver, lane: string, answerTimeoutMs?: number): Promise<Connection> {
    if (receiver === 'any') return this.#connectAny(lane)
    const { brokers, controller, leaders } = await this.#metadata()
    const node = await this.#nodeOf(receiver, controller, leaders)
    const broker = brokers.get(node)
    if (!broker) {
      this.refresh()
      throw new KafkaRefusal('LEADER_NOT_AVAILABLE', undefined)
    }
    return this.#connect(broker, lane, answerTimeoutMs)
  }

  async #nodeOf(
    receiver: Exclude<Receiver, 'any'>,
    controller: number,
    leaders: ClusterView['leaders'],
  ): Promise<number> {
    if (receiver === 'controller') return controller
    if ('node' in receiver) return receiver.node
    if ('leader' in receiver) return leaders.get(topicPartition(receiver.leader.topic, receiver.leader.partition)) ?? -1
    const { coordinator, key } = receiver
    const known = this.#coordinators.get(`${coordinator} ${key}`)
    if (known !== undefined) return known
    const connection = await this.#connectAny('requests')
    const found = await findCoordinatorV4.api.async(connection, coordinatorTypes[coordinator], [key])
    const { nodeId } = found.coordinators[0]!
    this.#coordinators.set(`${coordinator} ${key}`, nodeId)
    return nodeId
  }

  async #connectAny(lane: string): Promise<Connection> {
    const known = await this.#view?.catch(() => undefined)
    const candidates = [...(known?.brokers.values() ?? []), ...this.address.brokers]
    let last: unknown
    for (const broker of candidates) {
      try {
        return await this.#connect(broker, lane)
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  #connect({ host, port }: BrokerAddress, lane: string, answerTimeoutMs = this.timeoutMs): Promise<Connection> {
    const key = `${host}:${port} ${lane}`
    const known = this.#connections.get(key)
    if (known) return known
    if (this.#isClosed) throw new TidingsError('E_BUS_CLOSED', 'the log is closed')
    const connection = new Connection(`tidings-${this.address.log}`, {
      ...connectionOptions(this.address),
      connectTimeout: Math.min(5_000, this.timeoutMs),
      requestTimeout: answerTimeoutMs,
      maxInflights: 100,
    })
    const forget = () => {
      if (this.#connections.get(key) === connecting) this.#connections.delete(key)
    }
    // Each request that is in flight rejects by itself; an event without a listener would end the process.
    connection.on('error', error => {
      this.#lastError = error
      forget()
    })
    connection.on('close', forget)
    const connecting = (async () => {
      await connection.connect(host, port)
      return connection
    })()
    this.#connections.set(key, connecting)
    connecting.catch(forget)
    return connecting
  }

  #metadata(): Promise<ClusterView> {
    if (this.#view) return this.#view
    const view = this.#readMetadata()
    this.#view = view
    view.catch(() => {
      if (this.#view === view) this.#view = undefined
    })
    return view
  }

  async #readMetadata(): Promise<ClusterView> {
    const connection = await this.#connectAny('requests')
    const answer = await metadataV12.api
      .async(connection, this.topics, false, false)
      .catch((error: { response?: Awaited<ReturnType<typeof metadataV12.api.async>> }) => {
        // A topic that does not exist is an error of the whole answer for the client.
        if (!error.response) throw error
        return error.response
      })
    this.#hasAnswered = true
    const topics = answer.topics.filter(({ errorCode }) => errorCode === 0)
    return {
      brokers: new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }])),
      controller: answer.controllerId,
      leaders: new Map(
        topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, leaderId }) => [topicPartition(name!, partitionIndex), leaderId] as const),
        ),
      ),
      topicIds: new Map(topics.map(({ name, topicId }) => [name!, topicId])),
    }
  }

  #forget(receiver: Receiver, refusal: KafkaRefusal | undefined): void {
    if (!refusal || staleLeader.has(refusal.code)) this.refresh()
    if (typeof receiver === 'object' && 'coordinator' in receiver && (!refusal || staleCoordinator.has(refusal.code)))
      this.#coordinators.delete(`${receiver.coordinator} ${receiver.key}`)
  }
}

/** For people, who are told what they may not do. */
function nameOf(receiver: Receiver): string {
  if (typeof receiver === 'string' || 'node' in receiver) return ''
  return 'leader' in receiver ? receiver.leader.topic : receiver.key
}

function causeText(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  return cause instanceof Error ? `${describeThrown(error)} ${describeThrown(cause)}` : describeThrown(error)
}
