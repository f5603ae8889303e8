import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { randomUUIDv7 } from 'node:crypto'
import { removeStreams, withManager } from '../nats.ts'

export interface Publisher {
  publish(data: { q: string }): Promise<unknown>
  close(): Promise<void>
}

/** Publishes events with the raw client, with ids for deduplication: only `js.publish`. */
export async function rawPublisher(url: string): Promise<Publisher> {
  const name = `floor_publish_${randomUUIDv7()}`
  await withManager(url, manager => manager.streams.add({ name, subjects: [`${name}.e.>`] }))
  const connection = await connect({ servers: url, noAsyncTraces: true })
  const js = jetstream(connection)
  return {
    publish(data) {
      const id = randomUUIDv7()
      const event = { id, ...envelope, time: new Date().toISOString(), correlationid: id, data }
      return js.publish(`${name}.e.published`, JSON.stringify(event), { msgID: id })
    },
    async close() {
      await connection.close()
      await withManager(url, manager => removeStreams(manager, name))
    },
  }
}

const envelope = { specversion: '1.0', type: 'bench.published', source: '/', tenant: 'default', hops: 0 }
