import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin, FindCoordinatorKeyTypes } from '@platformatic/kafka'

/*
 * One real Kafka broker in KRaft mode, from its jars, on free ports of 127.0.0.1, with its data in a folder of its own.
 * Needs Java 17 and, the first time, Maven. KAFKA_KEEP=1 keeps the folder, with the broker's log in it.
 */

export const version = process.env.KAFKA_VERSION ?? '4.4.0'

export interface Broker {
  readonly bootstrap: string
  readonly admin: Admin
  topic(name: string, partitions?: number, configs?: Record<string, string>): Promise<void>
  /** The broker's own log. */
  log(): string
  /** kill -9, and started again on the same data. */
  crash(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The jars of the broker, fetched once. */
function jars(): string {
  const folder = join(homedir(), '.cache', 'tidings', `kafka-${version}`)
  if (existsSync(folder)) return folder
  const work = mkdtempSync(join(tmpdir(), 'kafka-jars-'))
  writeFileSync(
    join(work, 'pom.xml'),
    `<project><modelVersion>4.0.0</modelVersion><groupId>spike</groupId><artifactId>jars</artifactId><version>1</version>
     <dependencies><dependency>
       <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version>
     </dependency><dependency>
       <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
     </dependency></dependencies></project>`,
  )
  const target = `${folder}.part`
  execFileSync(
    'mvn',
    ['-B', '-q', 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${target}`],
    { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  renameSync(target, folder)
  rmSync(work, { recursive: true })
  return folder
}

/** Asked for together, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers
    .map(server => server.address())
    .map(address => (typeof address === 'object' ? address!.port : 0))
  for (const server of servers) server.close()
  return ports
}

function properties(port: number, controller: number, data: string, extra: Record<string, string>): string {
  const settings: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(data, 'log'),
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '16',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'auto.create.topics.enable': 'false',
    ...extra,
  }
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

export async function startBroker(extra: Record<string, string> = {}): Promise<Broker> {
  const classpath = join(jars(), '*')
  const data = mkdtempSync(join(tmpdir(), 'kafka-spike-'))
  const [port, controller] = (await freePorts(2)) as [number, number]
  const config = join(data, 'server.properties')
  writeFileSync(config, properties(port, controller, data, extra))
  mkdirSync(join(data, 'log'))
  const java = (heap: string, ...args: string[]) => [
    `-Xmx${heap}`,
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-Dorg.slf4j.simpleLogger.log.kafka.coordinator.transaction=info',
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    '-cp',
    classpath,
    ...args,
  ]
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'A')
  execFileSync('java', java('128m', 'kafka.tools.StorageTool', 'format', '-t', id, '-c', config), {
    stdio: ['ignore', 'ignore', 'pipe'],
  })

  const bootstrap = `127.0.0.1:${port}`
  const output = join(data, 'broker.log')
  let child: ChildProcess
  const start = async () => {
    const file = openSync(output, 'a')
    child = spawn('java', java('512m', 'kafka.Kafka', config), { stdio: ['ignore', file, file] })
    for (let tries = 0; ; tries++) {
      if (child.exitCode !== null || tries > 300) throw new Error(readFileSync(output, 'utf8').slice(-3_000))
      const probe = new Admin({ clientId: 'probe', bootstrapBrokers: [bootstrap], retries: 0 })
      const up = await probe.listTopics().then(
        () => true,
        () => false,
      )
      await probe.close()
      if (up) return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
  const stop = async (signal: NodeJS.Signals) => {
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
  const onExit = () => {
    child.kill('SIGKILL')
    if (process.env.KAFKA_KEEP === undefined) rmSync(data, { recursive: true, force: true })
  }
  process.once('exit', onExit)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  await start()
  const admin = new Admin({ clientId: 'spike-admin', bootstrapBrokers: [bootstrap], retries: 50, retryDelay: 100 })
  // The first to ask for a coordinator makes the internal topics.
  for (const keyType of [FindCoordinatorKeyTypes.GROUP, FindCoordinatorKeyTypes.TRANSACTION])
    await admin.findCoordinator({ keyType, keys: ['warm-up'] })
  return {
    bootstrap,
    admin,
    async topic(name, partitions = 1, configs = {}) {
      await admin.createTopics({
        topics: [name],
        partitions,
        replicas: 1,
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })
      // The answer may come before the broker leads the partitions.
      await new Promise(resolve => setTimeout(resolve, 300))
    },
    log: () => readFileSync(output, 'utf8'),
    async crash() {
      await stop('SIGKILL')
      await start()
    },
    async [Symbol.asyncDispose]() {
      await admin.close()
      await stop('SIGKILL')
      process.off('exit', onExit)
      onExit()
    },
  }
}
