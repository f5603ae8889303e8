import { randomUUID } from 'node:crypto'
import { driverConformance } from '../../testing/conformance/index.ts'
import { startKafka } from '../../testing/kafka/start.ts'
import { describeKafka, kafkaBootstrap } from '../../../test/lib/kafka.ts'
import { openKafka } from './index.ts'

describeKafka('conformance', () => {
  driverConformance('kafka', {
    async fresh() {
      const url = `kafka://${await kafkaBootstrap()}/t${randomUUID()}?lease=6000`
      return { open: clock => openKafka({ url, partitions: 3, clock }), remove: async () => {} }
    },
    async freshBroker() {
      const kafka = await startKafka()
      const url = `kafka://${kafka.bootstrap}/outage?lease=6000`
      return {
        open: clock => openKafka({ url, partitions: 3, clock }),
        remove: () => kafka.stop(),
        broker: { stop: () => kafka.kill(), start: ({ empty }) => kafka.restart({ empty }) },
      }
    },
  })
})
