import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from '../../src/testing/ports.ts'

/** Numbers of the requests that tests break. */
const kafkaApis = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetCommit: 8,
  OffsetFetch: 9,
  FindCoordinator: 10,
  CreateTopics: 19,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
  ConsumerGroupHeartbeat: 68,
} as const

export type KafkaApi = keyof typeof kafkaApis

/** Answers of these requests say where brokers are: Metadata, FindCoordinator, DescribeCluster. */
const locating = new Set([3, 10, 60])

/**
 * `before`: the connection is lost when the request arrives, and the broker never has it. `after`: the broker has answered, and the
 * connection is lost in place of its answer.
 */
export type BreakTime = 'before' | 'after'

interface Breakage {
  readonly api: number
  readonly when: BreakTime
  left: number
  hits: number
}

/**
 * A proxy between Kafka clients and brokers on this machine, which loses the connection at requests that a test chooses. Clients that
 * start with its `bootstrap` stay on it, because it puts its own ports into the answers that name brokers.
 */
export async function startKafkaProxy(bootstrap: string): Promise<KafkaProxy> {
  const targets = bootstrap.split(',').map(broker => Number(broker.split(':')[1]))
  const proxy = new KafkaProxy()
  for (const port of targets) await proxy.stand(port)
  return proxy
}

export class KafkaProxy implements AsyncDisposable {
  /** Ports of the brokers, and the ports of this proxy in their place. */
  readonly #ports = new Map<number, number>()
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  readonly #breakages: Breakage[] = []
  readonly #counts = new Map<number, number>()

  get bootstrap() {
    return [...this.#ports.values()].map(port => `127.0.0.1:${port}`).join(',')
  }

  /** Stands in front of one more broker. */
  async stand(port: number): Promise<void> {
    const own = await freePort()
    const server = createServer({ noDelay: true }, client => this.#join(client, port))
    await once(server.listen(own, '127.0.0.1'), 'listening')
    this.#ports.set(port, own)
    this.#servers.push(server)
  }

  /** Breaks the next `times` requests. Returns a function that says how many were broken so far. */
  breakNext(api: KafkaApi, when: BreakTime, times = 1): () => number {
    const breakage = { api: kafkaApis[api], when, left: times, hits: 0 }
    this.#breakages.push(breakage)
    return () => breakage.hits
  }

  /** Breaks nothing any more. */
  heal(): void {
    this.#breakages.length = 0
  }

  /** How many of these requests have arrived. */
  count(api: KafkaApi): number {
    return this.#counts.get(kafkaApis[api]) ?? 0
  }

  /** Loses all connections now. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) server.close()
    this.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #join(client: Socket, port: number): void {
    const broker = connect({ host: '127.0.0.1', port, noDelay: true })
    const lose = () => {
      client.resetAndDestroy()
      broker.resetAndDestroy()
    }
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
    /** The requests that wait for their answers, by correlation id. */
    const open = new Map<number, { api: number; breakage: Breakage | undefined }>()
    eachFrame(client, frame => {
      const [api, correlation] = [frame.readInt16BE(4), frame.readInt32BE(8)]
      this.#counts.set(api, (this.#counts.get(api) ?? 0) + 1)
      const breakage = this.#take(api)
      if (breakage?.when === 'before') return lose()
      open.set(correlation, { api, breakage })
      broker.write(frame)
    })
    eachFrame(broker, frame => {
      const request = open.get(frame.readInt32BE(4))
      open.delete(frame.readInt32BE(4))
      if (request?.breakage) return lose()
      if (request && locating.has(request.api)) this.#relocate(frame)
      client.write(frame)
    })
  }

  #take(api: number): Breakage | undefined {
    const breakage = this.#breakages.find(each => each.api === api && each.left > 0)
    if (!breakage) return undefined
    breakage.left--
    breakage.hits++
    return breakage
  }

  /** In every version of these answers the port follows the host, and both hosts are equally long. */
  #relocate(frame: Buffer): void {
    for (let at = frame.indexOf(host); at >= 0; at = frame.indexOf(host, at + host.length)) {
      const place = at + host.length
      if (place + 4 > frame.length) return
      const own = this.#ports.get(frame.readInt32BE(place))
      if (own !== undefined) frame.writeInt32BE(own, place)
    }
  }
}

const host = Buffer.from('127.0.0.1')

/** Calls with each whole request or answer, its length in front. */
function eachFrame(socket: Socket, handle: (frame: Buffer) => void): void {
  let held: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    while (held.length >= 4 && !socket.destroyed) {
      const end = 4 + held.readInt32BE(0)
      if (held.length < end) return
      // A copy, because its bytes may be changed while others wait to be written.
      handle(Buffer.from(held.subarray(0, end)))
      held = held.subarray(end)
    }
  })
}
