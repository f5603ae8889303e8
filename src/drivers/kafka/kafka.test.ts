import { randomUUID } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { driverConformance } from '../../testing/conformance/index.ts'
import { startKafka } from '../../testing/kafka/start.ts'
import { describeKafka, kafkaBootstrap } from '../../../test/lib/kafka.ts'
import { openKafka } from './index.ts'

// Time limits for a slow machine, where many cases at once make topics.
const options = 'lease=6000&timeout=60000'

/** A broker slows down with the number of its partitions. */
async function deleteLog(bootstrap: string, log: string): Promise<void> {
  const admin = new Admin({ clientId: 'conformance', bootstrapBrokers: [bootstrap] })
  await admin.deleteTopics({ topics: ['events', 'state', 'blobs', 'signals'].map(topic => `${log}.${topic}`) })
  await admin.close()
}

describeKafka('conformance', () => {
  driverConformance('kafka', {
    gaps: {
      'offsets of the imported log are above a number, and cursors below it have expired':
        'Kafka chooses offsets itself: each partition of a new topic begins at 0',
    },
    async fresh() {
      const bootstrap = await kafkaBootstrap()
      const log = `t${randomUUID()}`
      const url = `kafka://${bootstrap}/${log}?${options}`
      return { open: clock => openKafka({ url, partitions: 3, clock }), remove: () => deleteLog(bootstrap, log) }
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
