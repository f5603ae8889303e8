import { randomUUID } from 'node:crypto'
import { beforeAll, afterAll } from 'vitest'
import { driverConformance } from '../../testing/conformance/index.ts'
import { startBroker, type Broker } from '../../../bench/spikes/kafka/broker.ts'
import { openKafka } from './index.ts'

let broker: Broker
beforeAll(async () => {
  broker = await startBroker({ 'add.partitions.to.txn.retry.backoff.ms': '1' })
}, 120_000)
afterAll(() => broker?.[Symbol.asyncDispose]())

for (const partitions of [1, 3])
  driverConformance(`kafka with partitions=${partitions}`, {
    parts: ['EventLog', 'DocumentStore', 'SignalChannel', 'LogAdmin'],
    async fresh() {
      const url = `kafka://${broker.bootstrap}/t${randomUUID()}`
      return { open: clock => openKafka({ url, partitions, clock }), remove: async () => {} }
    },
  })
