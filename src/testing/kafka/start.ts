import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TidingsError } from '../../errors.ts'
import { startChild, type Child } from '../child.ts'
import { freePort, isFree } from '../ports.ts'
import { until } from '../wait.ts'
import { kafkaConfigText, log4jText, type KafkaConfig, type KafkaPlace } from './config.ts'
import { findKafka, type KafkaServer } from './find.ts'
import { kafkaInfo } from './info.ts'
import { classPath, formatFolder, kafkaId, startFiles } from './start-files.ts'

/** How a broker is started. */
export interface KafkaOptions extends KafkaConfig {
  /** Default: the result of `findKafka()`. */
  readonly server?: KafkaServer
  /** Default: a free port. */
  readonly port?: number
  /** Port of the controller. Default: a free port. */
  readonly controllerPort?: number
  /** Kept when the broker stops. Default: a temporary folder, which is removed with the broker. */
  readonly dataDir?: string
  /** The broker is one of several, with this number. All of them have the same `id`. */
  readonly cluster?: { readonly id: string; readonly node: number; readonly voters: KafkaPlace['voters'] }
  /** Users for SCRAM, as `kafka-storage format --add-scram` takes them. */
  readonly scram?: readonly string[]
  /** Further options of Java, such as `-Dname=value`. */
  readonly javaOptions?: readonly string[]
  /** Memory of Java. Default `384m`. */
  readonly heap?: string
  /** Compiles for throughput and not for a quick start. */
  readonly isOptimized?: boolean
}

/**
 * Starts a broker on 127.0.0.1 that ends with this process, and waits until it serves clients.
 * @throws E_BROKER_MISSING, E_PORT_IN_USE, E_BROKER_FAILED
 */
export const startKafka = (options: KafkaOptions = {}): Promise<Kafka> => Kafka.start(options)

let found: ReturnType<typeof findKafka> | undefined

async function foundServer(): Promise<KafkaServer> {
  found ??= findKafka()
  const server = await found
  if ('path' in server) return server
  throw new TidingsError('E_BROKER_MISSING', `no Kafka was found: ${server.reason}`)
}

/** A running broker, which is also a controller. */
export class Kafka implements AsyncDisposable {
  readonly dataDir: string
  readonly #server: KafkaServer
  readonly #options: KafkaOptions
  readonly #isTemporary: boolean
  readonly #clusterId: string
  #child: Child | undefined
  #port = 0

  private constructor(server: KafkaServer, options: KafkaOptions, dataDir: string) {
    this.dataDir = dataDir
    this.#server = server
    this.#options = options
    this.#isTemporary = options.dataDir === undefined
    this.#clusterId = options.cluster?.id ?? kafkaId()
  }

  /** See {@link startKafka}. */
  static async start(options: KafkaOptions): Promise<Kafka> {
    const server = options.server ?? (await foundServer())
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'tidings-kafka-')))
    await mkdir(dataDir, { recursive: true })
    const kafka = new Kafka(server, options, dataDir)
    try {
      await kafka.#start()
      return kafka
    } catch (error) {
      await kafka.#removeTemporary()
      throw error
    }
  }

  get port() {
    return this.#port
  }

  /** Host and port. */
  get bootstrap() {
    return `127.0.0.1:${this.#port}`
  }

  /** Number of the broker in its cluster. */
  get id() {
    return this.#options.cluster?.node ?? 1
  }

  get pid() {
    return this.#child!.pid
  }

  get running() {
    return this.#child!.running()
  }

  /** Resolves when the current process ends, for any reason. */
  get ended() {
    return this.#child!.ended
  }

  /** Another process may take a free port before the broker does. Tries the next one, unless the caller chose the port. */
  async #start(): Promise<void> {
    const { port, controllerPort, cluster } = this.#options
    for (let attempt = 1; ; attempt++) {
      try {
        this.#port = port ?? (await freePort())
        await this.#configure(controllerPort ?? (await freePort()))
        return await this.#launch(false)
      } catch (error) {
        const isTaken = error instanceof TidingsError && error.code === 'E_PORT_IN_USE'
        if (!isTaken || port !== undefined || cluster || attempt === 5) throw error
      }
    }
  }

  get #configFile() {
    return join(this.dataDir, 'server.properties')
  }

  get #logFile() {
    return join(this.dataDir, 'kafka.log')
  }

  get #log4jFile() {
    return join(this.dataDir, 'log4j2.properties')
  }

  async #configure(controllerPort: number): Promise<void> {
    const { id, dataDir } = this
    const voters = this.#options.cluster?.voters ?? [{ id, controllerPort }]
    await writeFile(
      this.#configFile,
      kafkaConfigText({ id, port: this.#port, controllerPort, dataDir, voters }, this.#options),
    )
    await writeFile(this.#log4jFile, log4jText)
  }

  /** What `kafka-storage format` does, without a start of Java, unless it must also store users. */
  async #format(formatted: string): Promise<void> {
    const folder = join(this.dataDir, 'log')
    if (await readFile(join(folder, 'meta.properties')).catch(() => undefined)) return
    const { scram = [] } = this.#options
    if (scram.length > 0) {
      const users = scram.flatMap(user => ['--add-scram', user])
      return formatFolder(this.#server, this.#configFile, this.#clusterId, users)
    }
    await cp(formatted, folder, { recursive: true })
    const meta = { version: 1, 'cluster.id': this.#clusterId, 'node.id': this.id, 'directory.id': kafkaId() }
    const lines = Object.entries(meta).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(join(folder, 'meta.properties'), lines.join(''))
  }

  async #launch(keepLog: boolean): Promise<void> {
    // Java would take seconds to find that out.
    if (!(await isFree(this.#port))) throw this.#portTaken()
    const { formatted, classes } = await startFiles(this.#server)
    await this.#format(formatted)
    const { heap = '384m', isOptimized, javaOptions = [] } = this.#options
    const child = await startChild(
      [
        this.#server.java,
        `-Xmx${heap}`,
        ...javaOptions,
        '-XX:+UseSerialGC',
        ...(isOptimized ? [] : ['-XX:TieredStopAtLevel=1']),
        `-XX:SharedArchiveFile=${classes}`,
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        '-Dorg.slf4j.simpleLogger.log.kafka.coordinator.transaction=info',
        '-Dorg.slf4j.simpleLogger.showDateTime=true',
        `-Dlog4j2.configurationFile=${this.#log4jFile}`,
        '-cp',
        await classPath(this.#server),
        'kafka.Kafka',
        this.#configFile,
      ],
      { log: this.#logFile, truncate: !keepLog, remove: this.#isTemporary ? this.dataDir : undefined },
    )
    this.#child = child
    try {
      await Promise.race([this.#answers(child), child.ended])
    } catch (error) {
      await this.kill()
      throw error
    }
    if (!child.running()) throw await this.#failure()
  }

  /** Compares ids, because another broker may have the port. */
  async #answers(child: Child): Promise<void> {
    const clusterId = await this.#storedClusterId()
    const itself = async () => {
      const info = await kafkaInfo('127.0.0.1', this.#port)
      return info.clusterId === clusterId && info.brokers.includes(this.id)
    }
    await until(async () => !child.running() || itself(), { within: 120_000, what: 'Kafka to answer' })
  }

  async #storedClusterId(): Promise<string> {
    const meta = await readFile(join(this.dataDir, 'log', 'meta.properties'), 'utf8')
    return /^cluster\.id=(.*)$/m.exec(meta)![1]!
  }

  async #failure(): Promise<TidingsError> {
    const log = await this.log(40)
    if (/address already in use/i.test(log)) return this.#portTaken()
    return new TidingsError('E_BROKER_FAILED', `Kafka ended at once:\n${log}`)
  }

  #portTaken(): TidingsError {
    return new TidingsError('E_PORT_IN_USE', `port ${this.#port} is taken; stop the other process or choose another`)
  }

  /** The last lines of its log. */
  async log(lines = 20): Promise<string> {
    return (await readFile(this.#logFile, 'utf8')).trimEnd().split('\n').slice(-lines).join('\n')
  }

  /** SIGSTOP: connections stay open and get no answers. Resolves when all its threads are stopped. */
  pause(): Promise<void> {
    return this.#child!.pause()
  }

  resume(): void {
    this.#child!.resume()
  }

  /** Ends it with a signal and waits for the end. Keeps the data. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#child!.kill(signal)
  }

  async #end(): Promise<void> {
    await this.#child!.end(15_000)
  }

  /** Stops it if it runs, and starts it on the same port. `empty`: like a broker that lost its disk. */
  async restart({ empty = false }: { readonly empty?: boolean } = {}): Promise<void> {
    await this.#end()
    if (empty) await rm(join(this.dataDir, 'log'), { recursive: true, force: true })
    await this.#launch(true)
  }

  /** Shuts down cleanly and keeps the data; a temporary folder is removed, after a quick end. */
  async stop(): Promise<void> {
    if (this.#isTemporary) await this.kill()
    else await this.#end()
    await this.#removeTemporary()
  }

  async #removeTemporary(): Promise<void> {
    if (this.#isTemporary) await rm(this.dataDir, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
