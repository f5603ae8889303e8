import { once } from 'node:events'
import { createServer as createPlainServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { Aedes, type AedesOptions } from 'aedes'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'

/** A broker for MQTT 3.1.1 in the process of a test, over real sockets. Its sessions are gone with it. */
export interface Broker {
  readonly port: number
  readonly broker: Aedes
  readonly sockets: ReadonlySet<Socket>
  /** A client that is connected; it leaves with the test. */
  client(options?: IClientOptions): Promise<MqttClient>
  stop(): Promise<void>
}

export async function startBroker({
  port = 0,
  tls,
  ...options
}: AedesOptions & { port?: number; tls?: TlsOptions } = {}): Promise<Broker> {
  const broker = await Aedes.createBroker(options)
  const sockets = new Set<Socket>()
  const join = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    broker.handle(socket)
  }
  const server: Server = tls ? createTlsServer(tls, join) : createPlainServer(join)
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const clients: MqttClient[] = []
  const at = (server.address() as AddressInfo).port
  const stop = async () => {
    await Promise.all(clients.splice(0).map(client => client.endAsync(true)))
    const closed = once(server, 'close')
    if (server.listening) server.close()
    else return
    for (const socket of sockets) socket.destroy()
    await new Promise<void>(resolve => broker.close(() => resolve()))
    await closed
  }
  onTestFinished(stop)
  return {
    port: at,
    broker,
    sockets,
    stop,
    client: async more => {
      const client = await connectAsync({ host: '127.0.0.1', port: at, reconnectPeriod: 0, ...more })
      clients.push(client)
      return client
    },
  }
}
