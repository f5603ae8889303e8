import { once } from 'node:events'
import { connect } from 'node:net'

/** What a broker says about its cluster. */
export interface KafkaInfo {
  readonly clusterId: string
  /** Ids of the brokers that are up. */
  readonly brokers: readonly number[]
}

/** Asks for the metadata (version 2, of no topic), as every client does. @throws if no Kafka broker answers */
export async function kafkaInfo(host: string, port: number): Promise<KafkaInfo> {
  const socket = connect({ host, port, signal: AbortSignal.timeout(5_000) })
  try {
    await once(socket, 'connect')
    socket.write(request)
    let bytes = Buffer.alloc(0)
    while (bytes.length < 4 || bytes.length < 4 + bytes.readInt32BE(0)) {
      if (socket.readableEnded) throw new Error(`${host}:${port} closed the connection`)
      const [chunk] = (await Promise.race([once(socket, 'data'), once(socket, 'end')])) as [Buffer?]
      if (chunk) bytes = Buffer.concat([bytes, chunk])
      if (bytes.length >= 8 && bytes.readInt32BE(4) !== correlation) throw new Error(`${host}:${port} is not Kafka`)
    }
    return infoIn(bytes)
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

const correlation = 7_411

const request = (() => {
  const bytes = Buffer.alloc(18)
  bytes.writeInt32BE(14, 0)
  bytes.writeInt16BE(3, 4)
  bytes.writeInt16BE(2, 6)
  bytes.writeInt32BE(correlation, 8)
  // No client id, no topics.
  bytes.writeInt16BE(-1, 12)
  bytes.writeInt32BE(0, 14)
  return bytes
})()

function infoIn(bytes: Buffer): KafkaInfo {
  let at = 8
  const int32 = () => bytes.readInt32BE((at += 4) - 4)
  const text = () => {
    const length = bytes.readInt16BE((at += 2) - 2)
    return length < 0 ? '' : bytes.toString('utf8', at, (at += length))
  }
  const brokers = Array.from({ length: int32() }, () => {
    const id = int32()
    text()
    int32()
    text()
    return id
  })
  return { brokers, clusterId: text() }
}
