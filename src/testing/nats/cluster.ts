import { freePort } from '../ports.ts'
import { until } from '../wait.ts'
import { natsInfo } from './info.ts'
import { startNats, type Nats, type NatsOptions } from './start.ts'

/** A running cluster of servers. */
export interface NatsCluster extends AsyncDisposable {
  readonly nodes: readonly Nats[]
  readonly urls: readonly string[]
  /** Waits until all running nodes are current and agree on a JetStream leader. */
  ready(): Promise<void>
  stop(): Promise<void>
}

/** Starts a cluster of servers. Restart a killed node with `restart()`. */
export async function startNatsCluster(
  size = 3,
  options: Omit<NatsOptions, 'port' | 'dataDir' | 'cluster'> = {},
): Promise<NatsCluster> {
  const ports = await Promise.all(Array.from({ length: size }, freePort))
  const starts = await Promise.allSettled(
    ports.map(port => startNats({ ...options, cluster: { port, routes: ports.filter(other => other !== port) } })),
  )
  const nodes = starts.filter(start => start.status === 'fulfilled').map(start => start.value)
  const stop = async () => void (await Promise.all(nodes.map(node => node.stop())))
  const ready = async () => {
    const running = nodes.filter(node => node.running)
    await until(() => agree(running, size), { within: 30_000, what: 'the servers to agree on a leader' })
  }
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    await ready()
  } catch (error) {
    await stop()
    throw error
  }
  return { nodes, urls: nodes.map(node => node.url), ready, stop, [Symbol.asyncDispose]: stop }
}

/** For a while, the others still report a dead server as the leader. */
async function agree(nodes: readonly Nats[], size: number): Promise<boolean> {
  const states = await Promise.all(nodes.map(stateOf))
  const [first] = states
  const leads = states.some(({ name }) => name === first?.leader)
  return leads && states.every(state => state.healthy && state.size === size && state.leader === first?.leader)
}

async function stateOf({ port, monitorUrl }: Nats) {
  const { server_name: name } = await natsInfo('127.0.0.1', port)
  const { ok: healthy } = await fetch(`${monitorUrl}/healthz`)
  const { meta_cluster: meta } = (await (await fetch(`${monitorUrl}/jsz`)).json()) as JetStreamState
  return { name, healthy, leader: meta?.leader, size: meta?.cluster_size }
}

interface JetStreamState {
  meta_cluster?: { leader?: string; cluster_size?: number }
}
