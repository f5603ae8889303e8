import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '@modelcontextprotocol/client'
import { unlessAborted } from '../../bus/abort.ts'
import { backoff, type Backoff } from '../../bus/delivery.ts'
import { TidingsError, textOf } from '../../errors.ts'
import { log } from '../../bus/telemetry/log.ts'
import type { KnownSecrets } from '../../bus/known-secrets.ts'
import {
  addressText,
  connectTo,
  type ElicitationHandler,
  type KnownProtocol,
  type McpAddress,
  type ServerOutput,
} from './connect.ts'

const reconnectBackoff: Backoff = { baseMs: 250, factor: 2, maxMs: 15_000, jitter: 0.3 }
/** Starting a server may download it. */
const connectTimeoutMs = 120_000
/** A server that ran for this long did not end because it cannot start. */
const stableAfterMs = 10_000

export interface McpConnectionOptions {
  readonly name: string
  readonly address: McpAddress
  readonly secrets: KnownSecrets
  readonly onElicitation?: ElicitationHandler | undefined
  /** Called with each new connection, before calls use it. */
  onOpen?(client: Client, signal: AbortSignal): Promise<void>
}

/** The connection of this process to one server. It is opened again when it ends, at growing intervals. */
export class McpConnection {
  readonly #options: McpConnectionOptions
  readonly #stopped = new AbortController()
  #known: KnownProtocol = {}
  #client: Client | undefined
  #opening: Promise<Client> | undefined
  #failures = 0
  #openedAt = 0
  /** Why there is no connection, and when the next attempt begins. */
  #away: { readonly error: TidingsError; readonly until: number } | undefined

  constructor(options: McpConnectionOptions) {
    this.#options = options
  }

  /** The connection, if there is one now. */
  get current(): Client | undefined {
    return this.#client
  }

  /** Why calls must wait now, and for how many ms; undefined if they need not. Waits for an attempt that is under way. */
  async whyAway(): Promise<{ readonly error: TidingsError; readonly after: number } | undefined> {
    if (this.#client) return undefined
    try {
      await this.open()
      return undefined
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable)) throw error
    }
    const { error = this.#unavailable('it is being started'), until = 0 } = this.#away ?? {}
    return { error, after: Math.max(reconnectBackoff.baseMs, until - performance.now()) }
  }

  /** The open connection. @throws E_MCP_UNAVAILABLE, also before the next attempt is due */
  open(): Promise<Client> {
    if (this.#client) return Promise.resolve(this.#client)
    if (this.#opening) return this.#opening
    if (this.#away && performance.now() < this.#away.until) return Promise.reject(this.#away.error)
    const opening = this.#open()
    this.#opening = opening
    const settled = () => {
      if (this.#opening === opening) this.#opening = undefined
    }
    opening.then(settled, settled)
    return opening
  }

  /** The same, for work that began: waits until the server can be reached, or the signal aborts. */
  async reopened(signal: AbortSignal): Promise<Client> {
    for (;;) {
      signal.throwIfAborted()
      try {
        return await unlessAborted(this.open(), signal)
      } catch (error) {
        if (!(error instanceof TidingsError && error.retryable)) throw error
        await delay(Math.max(reconnectBackoff.baseMs, (this.#away?.until ?? 0) - performance.now()), undefined, {
          signal,
        })
      }
    }
  }

  /** A call found that the connection cannot be used. */
  lost(client: Client, why: string): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.#scheduleNext(why, performance.now() - this.#openedAt > stableAfterMs)
    void client.close().catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopped.abort(this.#unavailable('this worker stops'))
    await this.#opening?.catch(() => {})
    const client = this.#client
    this.#client = undefined
    await client?.close().catch(() => {})
  }

  async #open(): Promise<Client> {
    const { name, address, onOpen, secrets, onElicitation } = this.#options
    const output: ServerOutput = { text: '' }
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(connectTimeoutMs)])
    let client: Client | undefined
    try {
      const connected = await connectTo(address, { known: this.#known, signal, output, secrets, onElicitation })
      client = connected.client
      this.#known = connected.known
      await onOpen?.(client, signal)
      this.#stopped.signal.throwIfAborted()
    } catch (error) {
      await client?.close().catch(() => {})
      // It may be another server now.
      this.#known = {}
      if (error instanceof TidingsError && error.code === 'E_MCP_MISSING') throw error
      const said = output.text.trim()
      const why = secrets.scrub(`${textOf(error)}${said && `; it wrote: ${said}`}`)
      throw this.#scheduleNext(why, false)
    }
    client.onclose = () => this.lost(client, 'the connection was closed')
    client.onerror = error => log.debug?.({ server: name }, `MCP server: ${secrets.scrub(textOf(error))}`)
    this.#client = client
    this.#away = undefined
    this.#openedAt = performance.now()
    log.info?.({ server: name, protocol: client.getNegotiatedProtocolVersion() }, 'connected to MCP server')
    return client
  }

  #scheduleNext(why: string, wasStable: boolean): TidingsError {
    this.#failures = wasStable ? 1 : this.#failures + 1
    const after = backoff(Math.min(this.#failures, 16), reconnectBackoff)
    const error = this.#unavailable(why)
    this.#away = { error, until: performance.now() + after }
    if (!this.#stopped.signal.aborted) log.warn?.({ server: this.#options.name, next_attempt_ms: after }, error.message)
    return error
  }

  #unavailable(why: string): TidingsError {
    const { name, address } = this.#options
    return new TidingsError('E_MCP_UNAVAILABLE', `the MCP server "${name}" (${addressText(address)}) is away: ${why}`, {
      retryable: true,
    })
  }
}
