import { startNatsCluster } from '../../src/testing/nats/cluster.ts'
import { startNats } from '../../src/testing/nats/start.ts'

/** Servers that a kill test works on, and kills. */
export interface Broker {
  /** The address of a log of this name. */
  address(log: string): string
  /** Kills one of its servers and starts it again. */
  strike(): Promise<void>
  stop(): Promise<void>
}

/** One server. While it is away nothing can be done. */
export async function oneNats(): Promise<Broker> {
  const server = await startNats()
  return {
    address: log => `${server.url}/${log}?timeout=60000`,
    async strike() {
      await server.kill('SIGKILL')
      await server.restart()
    },
    stop: () => server.stop(),
  }
}

/** Three servers with three copies. While one is away the others go on; the next is killed only when it is back. */
export async function threeNats(): Promise<Broker> {
  const cluster = await startNatsCluster(3)
  const hosts = cluster.urls.map(url => new URL(url).host).join(',')
  let next = 0
  return {
    address: log => `nats://${hosts}/${log}?replicas=3&timeout=60000`,
    async strike() {
      const node = cluster.nodes[next++ % cluster.nodes.length]!
      await node.kill('SIGKILL')
      await node.restart()
      await cluster.ready()
    },
    stop: () => cluster.stop(),
  }
}
