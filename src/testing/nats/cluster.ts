import { TidingsError } from '../../errors.ts'
import { freePort } from '../ports.ts'
import { until } from '../wait.ts'
import { startNats, type Nats, type NatsOptions } from './start.ts'

export interface NatsCluster extends AsyncDisposable {
  readonly nodes: readonly Nats[]
  readonly urls: readonly string[]
  /** Waits until every node that runs agrees on a leader of JetStream and is current. */
  ready(): Promise<void>
  stop(): Promise<void>
}

/** Servers that hold streams in common. A node that was killed comes back with `restart()`. */
export async function startNatsCluster(
  size = 3,
  options: Omit<NatsOptions, 'port' | 'dataDir' | 'name' | 'cluster'> = {},
): Promise<NatsCluster> {
  const ports = await Promise.all(Array.from({ length: size }, freePort))
  const starts = await Promise.allSettled(
    ports.map(port => startNats({ ...options, cluster: { port, routes: ports.filter(other => other !== port) } })),
  )
  const nodes = starts.filter(start => start.status === 'fulfilled').map(start => start.value)
  const stop = async () => void (await Promise.all(nodes.map(node => node.stop())))
  const ready = async () => void (await Promise.all(nodes.filter(node => node.running).map(isReady)))
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    await ready()
  } catch (error) {
    await stop()
    throw error
  }
  return { nodes, urls: nodes.map(node => node.url), ready, stop, [Symbol.asyncDispose]: stop }

  async function isReady(node: Nats): Promise<void> {
    await until(
      async () => {
        const health = await fetch(`${node.monitorUrl}/healthz`)
        const { meta_cluster: meta } = (await (await fetch(`${node.monitorUrl}/jsz`)).json()) as JetStreamState
        return health.ok && meta?.leader && meta.cluster_size === size
      },
      { within: 30_000, what: 'the servers to agree on a leader' },
    ).catch(cause => {
      throw new TidingsError('E_BROKER_FAILED', 'the cluster did not come about', { cause })
    })
  }
}

interface JetStreamState {
  meta_cluster?: { leader?: string; cluster_size?: number }
}
