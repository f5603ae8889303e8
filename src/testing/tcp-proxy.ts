import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './ports.ts'

/** Starts a proxy in front of a server. */
export async function startProxy(target: { readonly host?: string; readonly port: number }): Promise<TcpProxy> {
  const proxy = new TcpProxy(target.host ?? '127.0.0.1', target.port, await freePort())
  await proxy.accept()
  return proxy
}

/** A TCP proxy between a client and a server that tests can disturb. */
export class TcpProxy implements AsyncDisposable {
  /** Port on 127.0.0.1 that clients connect to. */
  readonly port: number
  readonly #host: string
  readonly #targetPort: number
  /** The functions that resume forwarding, one per socket. */
  readonly #flows = new Map<Socket, () => void>()
  #server: Server | undefined
  #frozen = false

  constructor(host: string, targetPort: number, port: number) {
    this.#host = host
    this.#targetPort = targetPort
    this.port = port
  }

  /** Number of open connections. */
  get connections() {
    return this.#flows.size / 2
  }

  /** Accepts new connections again. */
  async accept(): Promise<void> {
    if (this.#server) return
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, client => this.#join(client))
    await once(this.#server.listen(this.port, '127.0.0.1'), 'listening')
  }

  /** Rejects new connections; existing ones stay open. */
  refuse(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** Resets all connections. Still accepts new ones. */
  cut(): void {
    for (const socket of this.#flows.keys()) socket.resetAndDestroy()
  }

  /** Buffers the bytes in both directions while all sockets stay open, so that each side seems to hang. */
  freeze(): void {
    this.#frozen = true
    for (const socket of this.#flows.keys()) socket.pause()
  }

  /** Forwards the buffered bytes, then new ones. */
  thaw(): void {
    this.#frozen = false
    for (const flow of this.#flows.values()) flow()
  }

  async stop(): Promise<void> {
    this.refuse()
    this.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #join(client: Socket): void {
    const server = connect({ host: this.#host, port: this.#targetPort, allowHalfOpen: true, noDelay: true })
    this.#pass(client, server)
    this.#pass(server, client)
  }

  #pass(from: Socket, to: Socket): void {
    const flow = () => void (this.#frozen || to.writableNeedDrain || from.resume())
    this.#flows.set(from, flow)
    to.on('drain', flow)
    from.on('data', chunk => void (to.write(chunk) || from.pause()))
    from.on('end', () => to.end())
    from.on('error', () => {})
    from.on('close', hadError => {
      this.#flows.delete(from)
      if (hadError) to.resetAndDestroy()
      else if (!from.readableEnded) to.destroy()
    })
    if (this.#frozen) from.pause()
  }
}
