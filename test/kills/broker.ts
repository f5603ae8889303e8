import { startKafka } from '../../src/testing/kafka/start.ts'
import { startNatsCluster } from '../../src/testing/nats/cluster.ts'
import { startNats } from '../../src/testing/nats/start.ts'

/** The servers of a kill test, which are killed, too. */
export interface Broker {
  /** The address of a log of this name. */
  address(log: string): string
  /** Kills one of its servers and restarts it. */
  killServer(): Promise<void>
  stop(): Promise<void>
}

/** One server. While it is down, no work is done. */
export async function oneNats(partitions = 1): Promise<Broker> {
  const server = await startNats()
  return {
    address: log => `${server.url}/${log}?timeout=60000&partitions=${partitions}`,
    async killServer() {
      await server.kill('SIGKILL')
      await server.restart()
    },
    stop: () => server.stop(),
  }
}

/** Three servers with three replicas. While one is down the others continue; the next is killed only when it is back. */
export async function threeNats(partitions = 1): Promise<Broker> {
  const cluster = await startNatsCluster(3)
  const hosts = cluster.urls.map(url => new URL(url).host).join(',')
  let next = 0
  return {
    address: log => `nats://${hosts}/${log}?replicas=3&timeout=60000&partitions=${partitions}`,
    async killServer() {
      const node = cluster.nodes[next++ % cluster.nodes.length]!
      await node.kill('SIGKILL')
      await node.restart()
      await cluster.ready()
    },
    stop: () => cluster.stop(),
  }
}

/** One Kafka broker. While it is down, no work is done. On a busy machine it is down for a minute. */
export async function oneKafka(partitions = 3): Promise<Broker> {
  const kafka = await startKafka()
  return {
    address: log => `kafka://${kafka.bootstrap}/${log}?timeout=240000&partitions=${partitions}`,
    async killServer() {
      await kafka.kill()
      await kafka.restart()
    },
    stop: () => kafka.stop(),
  }
}
