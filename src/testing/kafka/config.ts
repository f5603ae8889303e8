/** Name, ports and folder of a broker, which is its own controller, and the others of its cluster. */
export interface KafkaPlace {
  /** Number of the broker in its cluster, from 1. */
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  readonly dataDir: string
  /** All brokers of the cluster, this one included. */
  readonly voters: readonly { readonly id: number; readonly controllerPort: number }[]
}

export interface KafkaListener {
  /** Lower-case. */
  readonly name: string
  readonly port: number
  readonly protocol: 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
}

/** Settings of a broker. */
export interface KafkaConfig {
  /** Syncs each write to the disk before it is acknowledged. */
  readonly syncAlways?: boolean
  /** Further listeners, for clients that must show who they are. `config` says how, as `listener.name.NAME.…`. */
  readonly listeners?: readonly KafkaListener[]
  /** Further settings of the broker. */
  readonly config?: Readonly<Record<string, string | number>>
}

const host = '127.0.0.1'

/** The text of its configuration file. */
export function kafkaConfigText(place: KafkaPlace, config: KafkaConfig): string {
  const { listeners = [] } = config
  const copies = Math.min(place.voters.length, 3)
  const inSync = Math.max(1, copies - 1)
  const settings: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': place.id,
    'controller.quorum.voters': place.voters
      .map(({ id, controllerPort }) => `${id}@${host}:${controllerPort}`)
      .join(','),
    listeners: [
      `PLAINTEXT://${host}:${place.port}`,
      `CONTROLLER://${host}:${place.controllerPort}`,
      ...listeners.map(({ name, port }) => `${name.toUpperCase()}://${host}:${port}`),
    ].join(','),
    'listener.security.protocol.map': [
      'PLAINTEXT:PLAINTEXT',
      'CONTROLLER:PLAINTEXT',
      ...listeners.map(({ name, protocol }) => `${name.toUpperCase()}:${protocol}`),
    ].join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': `${place.dataDir}/log`,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': copies,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 8,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 1,
    // The defaults let a commit wait for 20 ms, and the first member of a group for 3 s.
    'add.partitions.to.txn.retry.backoff.ms': 1,
    'group.initial.rebalance.delay.ms': 0,
    // The default lets a dead member keep its partitions for at least 6 s.
    'group.min.session.timeout.ms': 500,
    ...(config.syncAlways && { 'log.flush.interval.messages': 1 }),
    ...config.config,
  }
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/** For a Kafka that logs with Log4j. The jars that Maven downloads log with SLF4J's simple logger. */
export const log4jText = `status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n%throwable
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
`
