import { freePort } from '../ports.ts'
import { until } from '../wait.ts'
import { kafkaInfo } from './info.ts'
import { kafkaId } from './start-files.ts'
import { startKafka, type Kafka, type KafkaOptions } from './start.ts'

/** A running cluster of brokers. */
export interface RunningKafkaCluster extends AsyncDisposable {
  readonly nodes: readonly Kafka[]
  /** Hosts and ports, separated by commas. */
  readonly bootstrap: string
  /** Waits until all running brokers see each other. */
  ready(): Promise<void>
  stop(): Promise<void>
}

/** Options of each broker. `ports` and `dataDirs` are given together, by a caller who keeps the data. */
export interface KafkaClusterOptions
  extends Omit<KafkaOptions, 'port' | 'controllerPort' | 'dataDir' | 'cluster' | 'listeners'> {
  readonly ports?: readonly { readonly port: number; readonly controllerPort: number }[]
  readonly dataDirs?: readonly string[]
}

/** Starts a cluster of brokers. Restart a killed one with `restart()`. */
export async function startKafkaCluster(size = 3, options: KafkaClusterOptions = {}): Promise<RunningKafkaCluster> {
  const { dataDirs, ...rest } = options
  const ports = options.ports ?? (await Promise.all(Array.from({ length: size }, freePorts)))
  const voters = ports.map(({ controllerPort }, i) => ({ id: i + 1, controllerPort }))
  const id = kafkaId()
  const starts = await Promise.allSettled(
    ports.map((place, i) =>
      startKafka({
        ...rest,
        ...place,
        ...(dataDirs && { dataDir: dataDirs[i]! }),
        cluster: { id, node: i + 1, voters },
      }),
    ),
  )
  const nodes = starts.filter(start => start.status === 'fulfilled').map(start => start.value)
  const stop = async () => void (await Promise.all(nodes.map(node => node.stop())))
  const ready = async () => {
    const running = nodes.filter(node => node.running)
    await until(() => agree(running), { within: 60_000, what: 'the brokers to see each other' })
  }
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    await ready()
  } catch (error) {
    await stop()
    throw error
  }
  const bootstrap = nodes.map(node => node.bootstrap).join(',')
  return { nodes, bootstrap, ready, stop, [Symbol.asyncDispose]: stop }
}

const freePorts = async () => ({ port: await freePort(), controllerPort: await freePort() })

async function agree(running: readonly Kafka[]): Promise<boolean> {
  const infos = await Promise.all(running.map(({ port }) => kafkaInfo('127.0.0.1', port)))
  return infos.every(({ brokers }) => running.every(({ id }) => brokers.includes(id)))
}
