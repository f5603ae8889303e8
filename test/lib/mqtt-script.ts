import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { until } from '../../src/testing/wait.ts'

/*
 * The broker's side of MQTT, byte by byte, for what no broker does when it is asked to: it lets everybody in, says that the
 * session is there, and grants every subscription at QoS 2. The rest is said by the test.
 */

const kinds = { connect: 1, puback: 4, pubrec: 5, pubcomp: 7, subscribe: 8 } as const

export interface Script {
  readonly port: number
  readonly connections: readonly Socket[]
  /** Waits for the client's next packet of a kind. Its packet id. */
  heard(kind: 'puback' | 'pubrec' | 'pubcomp'): Promise<number>
  publish(packetId: number, text: string, more?: { qos?: 1 | 2; dup?: boolean }): void
  pubrel(packetId: number): void
  /** From now on it knows no session. */
  forget(): void
  /** DISCONNECT of MQTT 5, and the end of the connection. */
  disconnect(reason: number): void
}

export async function startScript(version: 5 | '3.1.1'): Promise<Script> {
  const more = version === 5 ? [0] : []
  const connections: Socket[] = []
  let present = 1
  const received: { kind: number; id: number }[] = []
  const send = (first: number, ...body: number[]) =>
    void connections.at(-1)!.write(Buffer.from([first, body.length, ...body]))
  const receive = (kind: number, body: Buffer) => {
    const id = body.length < 2 ? 0 : body.readUInt16BE()
    if (kind === kinds.connect) send(0x20, present, 0, ...more)
    if (kind === kinds.subscribe) send(0x90, ...body.subarray(0, 2), ...more, 2)
    received.push({ kind, id })
  }
  const server = createServer(socket => {
    connections.push(socket)
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      // What this client says is short: one byte of length, but for CONNECT and SUBSCRIBE of long names.
      while (rest.length > 1 && rest.length >= 2 + rest[1]!) {
        receive(rest[0]! >> 4, rest.subarray(2, 2 + rest[1]!))
        rest = rest.subarray(2 + rest[1]!)
      }
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    for (const socket of connections) socket.destroy()
    server.close()
  })
  const word = (value: number) => [value >> 8, value & 0xff]
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    heard: async kind => {
      const found = await until(() => received.findIndex(packet => packet.kind === kinds[kind]) + 1, { what: kind })
      return received.splice(found - 1, 1)[0]!.id
    },
    publish: (packetId, text, { qos = 2, dup = false } = {}) =>
      send(
        0x30 | (dup ? 8 : 0) | (qos << 1),
        0,
        4,
        ...Buffer.from('hall'),
        ...word(packetId),
        ...more,
        ...Buffer.from(text),
      ),
    pubrel: packetId => send(0x62, ...word(packetId)),
    forget: () => void (present = 0),
    disconnect: reason => {
      send(0xe0, reason, 0)
      connections.at(-1)!.end()
    },
  }
}
