import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TidingsError } from '../../errors.ts'
import { freePort, isFree } from '../ports.ts'
import { until } from '../wait.ts'
import { startChild, type Child } from '../child.ts'
import { configText, type NatsConfig, type Place } from './config.ts'
import { findNatsServer } from './find.ts'
import { natsInfo } from './info.ts'

/** How the server is started. */
export interface NatsOptions extends NatsConfig {
  /** The binary. Default: the result of `findNatsServer()`. */
  readonly path?: string
  /** Default: a free port. */
  readonly port?: number
  /** Port of HTTP monitoring. Default: a free port. */
  readonly monitorPort?: number
  /** Kept when the server stops. Default: a temporary folder, which is removed with the server. */
  readonly dataDir?: string
  readonly cluster?: NonNullable<Place['cluster']>
}

/**
 * Starts a server on 127.0.0.1 that ends with this process, and waits until it accepts connections.
 * @throws E_BROKER_MISSING, E_PORT_IN_USE, E_BROKER_FAILED
 */
export const startNats = (options: NatsOptions = {}): Promise<Nats> => Nats.start(options)

let found: ReturnType<typeof findNatsServer> | undefined

async function foundPath(): Promise<string> {
  found ??= findNatsServer()
  const server = await found
  if ('path' in server) return server.path
  throw new TidingsError('E_BROKER_MISSING', `no nats-server was found: ${server.reason}`)
}

/** A running server. */
export class Nats implements AsyncDisposable {
  readonly dataDir: string
  readonly #path: string
  readonly #options: NatsOptions
  readonly #isTemporary: boolean
  readonly #name = `tidings-${crypto.randomUUID()}`
  #child: Child | undefined
  #port = 0
  #monitorPort = 0

  private constructor(path: string, options: NatsOptions, dataDir: string) {
    this.dataDir = dataDir
    this.#path = path
    this.#options = options
    this.#isTemporary = options.dataDir === undefined
  }

  /** See {@link startNats}. */
  static async start(options: NatsOptions): Promise<Nats> {
    const path = options.path ?? (await foundPath())
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'tidings-nats-')))
    await mkdir(dataDir, { recursive: true })
    const nats = new Nats(path, options, dataDir)
    try {
      await nats.#start(options.port)
      return nats
    } catch (error) {
      await nats.#removeTemporary()
      throw error
    }
  }

  get port() {
    return this.#port
  }

  get url() {
    return `nats://127.0.0.1:${this.#port}`
  }

  /** Base URL of its HTTP monitoring. */
  get monitorUrl() {
    return `http://127.0.0.1:${this.#monitorPort}`
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

  /** Another process may take a free port before the server does. Tries the next one, unless the caller chose the port. */
  async #start(wanted: number | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#launch(wanted ?? (await freePort()))
      } catch (error) {
        const isTaken = error instanceof TidingsError && error.code === 'E_PORT_IN_USE'
        if (!isTaken || wanted !== undefined || attempt === 5) throw error
      }
    }
  }

  async #launch(port: number, keepLog = false): Promise<void> {
    this.#port = port
    this.#monitorPort = this.#options.monitorPort ?? (await freePort())
    const { dataDir } = this
    const { cluster } = this.#options
    const place = { name: this.#name, port, monitorPort: this.#monitorPort, dataDir, ...(cluster && { cluster }) }
    const file = join(dataDir, 'nats.conf')
    await writeFile(file, configText(place, this.#options))
    const child = await startChild([this.#path, '-c', file], {
      log: this.#logFile,
      truncate: !keepLog,
      remove: this.#isTemporary ? dataDir : undefined,
    })
    this.#child = child
    try {
      await Promise.race([this.#answers(child), child.ended])
    } catch (error) {
      await this.kill()
      throw error
    }
    if (!child.running()) throw await this.#failure()
  }

  /** Compares the name, because another server may have the port. */
  async #answers(child: Child): Promise<void> {
    const itself = async () => (await natsInfo('127.0.0.1', this.#port)).server_name === this.#name
    // It answers when it has read its streams: a large log takes time, and a busy machine.
    await until(async () => !child.running() || itself(), { within: 120_000, what: 'nats-server to answer' })
  }

  async #failure(): Promise<TidingsError> {
    const log = await this.log()
    if (log.includes('address already in use')) {
      // It names the first one that it could not use, which is the port of monitoring if both are taken.
      const named = /:(\d+): bind: address already in use/.exec(log)?.[1]
      const port = (await isFree(this.#port)) && named !== undefined ? Number(named) : this.#port
      const use = port === this.#monitorPort ? ' (HTTP monitoring)' : ''
      return new TidingsError('E_PORT_IN_USE', `port ${port}${use} is taken; stop the other process or choose another`)
    }
    return new TidingsError('E_BROKER_FAILED', `nats-server ended at once:\n${log}`)
  }

  get #logFile() {
    return join(this.dataDir, 'nats.log')
  }

  /** The last lines of its log. */
  async log(): Promise<string> {
    return (await readFile(this.#logFile, 'utf8')).trimEnd().split('\n').slice(-8).join('\n')
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
    await this.#child!.end(10_000)
  }

  /** Stops it if it runs, and starts it on the same port. `empty`: like a server that lost its disk. */
  async restart({ empty = false }: { readonly empty?: boolean } = {}): Promise<void> {
    await this.#end()
    if (empty) await rm(join(this.dataDir, 'jetstream'), { recursive: true, force: true })
    await this.#launch(this.#port, true)
  }

  /** Shuts down cleanly and removes a temporary folder. */
  async stop(): Promise<void> {
    await this.#end()
    await this.#removeTemporary()
  }

  async #removeTemporary(): Promise<void> {
    if (this.#isTemporary) await rm(this.dataDir, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
