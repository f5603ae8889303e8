import { randomUUID } from 'node:crypto'
import { type ContractPart, driverConformance } from '../../testing/conformance/index.ts'
import { startNats } from '../../testing/nats/start.ts'
import { describeNats, natsUrl } from '../../../test/lib/nats.ts'
import { openNats } from './index.ts'

/** What the number of partitions changes. Most tests of several folders run on one partition. */
const ofPartitions: readonly ContractPart[] = ['EventLog', 'ConsumerGroups', 'LogAdmin']

describeNats('conformance', () => {
  for (const partitions of [1, 3])
    driverConformance(`nats with partitions=${partitions}`, {
      ...(partitions === 1 && !process.env.TIDINGS_EVERY_BUS && { parts: ofPartitions }),
      async fresh() {
        const url = `${natsUrl()}/t${randomUUID()}`
        return { open: clock => openNats({ url, partitions, clock, leaseMs: 2_000 }), remove: async () => {} }
      },
      async freshBroker() {
        const nats = await startNats()
        return {
          open: clock => openNats({ url: nats.url, partitions, clock, leaseMs: 2_000 }),
          remove: () => nats.stop(),
          broker: { stop: () => nats.kill(), start: ({ empty }) => nats.restart({ empty }) },
        }
      },
    })
})
