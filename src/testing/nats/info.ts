import { once } from 'node:events'
import { connect } from 'node:net'

/** What a server reports about itself to each client that connects. */
export interface NatsInfo {
  readonly server_name: string
  readonly version: string
  readonly jetstream?: boolean
}

/** Connects and reads the first line. @throws if no NATS server answers */
export async function natsInfo(host: string, port: number): Promise<NatsInfo> {
  const socket = connect({ host, port, signal: AbortSignal.timeout(5_000) })
  try {
    let line = ''
    socket.setEncoding('utf8').on('data', chunk => (line += chunk))
    while (!line.includes('\r\n')) {
      if (socket.readableEnded) throw new Error(`${host}:${port} closed the connection before it sent anything`)
      await Promise.race([once(socket, 'data'), once(socket, 'end')])
    }
    const [, info] = /^INFO (\{.*\})\s*\r\n/.exec(line) ?? []
    if (info === undefined) throw new Error(`${host}:${port} is not a NATS server`)
    return JSON.parse(info) as NatsInfo
  } finally {
    socket.on('error', () => {}).destroy()
  }
}
