import { randomUUID } from 'node:crypto'
import { driverConformance } from '../../testing/conformance/index.ts'
import { startNats } from '../../testing/nats/start.ts'
import { describeNats, natsUrl } from '../../../test/lib/nats.ts'
import { openNats } from './index.ts'

describeNats('conformance', () => {
  for (const partitions of [1, 3])
    driverConformance(`nats with partitions=${partitions}`, {
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
