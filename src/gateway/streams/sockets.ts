import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { httpError } from '../../http/response.ts'
import { SocketTransport } from './socket-transport.ts'

/** Clients send nothing but control frames. */
const maxMessageBytes = 1_024

interface Upgrade {
  readonly connection: Socket
  readonly head: Buffer
  /** Answers instead if there will be no WebSocket. */
  readonly outgoing: ServerResponse
}

/** Requests to become a WebSocket, which wait for a route to accept them. */
export class SocketUpgrades {
  readonly #offered = new WeakMap<IncomingMessage, Upgrade>()
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    // A message that is compressed without the context of earlier ones is the same for all clients.
    perMessageDeflate: { serverNoContextTakeover: true, clientNoContextTakeover: true },
  })

  offer(incoming: IncomingMessage, upgrade: Upgrade): void {
    this.#offered.set(incoming, upgrade)
  }

  /** Undefined if the request did not ask for it, or not on a connection of its own. */
  accept(incoming: IncomingMessage): Promise<SocketTransport> | undefined {
    const upgrade = this.#offered.get(incoming)
    if (!upgrade) return undefined
    const { connection, head, outgoing } = upgrade
    outgoing.detachSocket(connection)
    return new Promise((resolve, reject) => {
      connection.once('close', () => reject(httpError(400, 'the handshake of the WebSocket is not valid')))
      this.#server.handleUpgrade(incoming, connection, head, socket =>
        resolve(new SocketTransport(socket, connection, canInflate(incoming) ? 'deflated' : 'socket')),
      )
    })
  }
}

/** A client that asks for a smaller window than that of the shared bytes gets messages as they are, which the extension allows. */
const canInflate = ({ headers }: IncomingMessage) =>
  !headers['sec-websocket-extensions']?.includes('server_max_window_bits')
