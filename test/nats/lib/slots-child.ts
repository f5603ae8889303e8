import { setTimeout } from 'node:timers/promises'
import type { Consumer, Delivery } from '../../../src/bus/driver.ts'
import { openNats } from '../../../src/drivers/nats/index.ts'

/*
 * A process with a member of the group `limit-N` for each N: `node slots-child.ts URL LEASE-MS N…`. It reports when each delivery
 * begins and ends, by the monotonic clock that all processes of a machine share.
 */

export type Report =
  | { readonly kind: 'joined' | 'closed' }
  | { readonly kind: 'begin' | 'end'; readonly limit: number; readonly id: string; readonly at: number }

const [url, leaseMs, ...limits] = process.argv.slice(2) as [string, string, ...string[]]
const report = (message: Report) => void process.send?.(message)
const at = () => Number(process.hrtime.bigint() / 1_000n) / 1_000

process.on('disconnect', () => process.exit())
const driver = await openNats({ url, leaseMs: Number(leaseMs) })
const running = new Set<Promise<void>>()
const consumers: Consumer[] = []
for (const limit of limits.map(Number)) {
  const consumer = await driver.subscribe({
    group: `limit-${limit}`,
    mode: 'shared',
    filter: [{ types: ['job.>'] }],
    limit,
    maxInFlight: limit,
    from: 'beginning',
    onDelivery(delivery) {
      const run = work(limit, delivery)
      running.add(run)
      void run.finally(() => running.delete(run))
    },
  })
  consumers.push(consumer)
}
report({ kind: 'joined' })
process.on('message', () => void close())

async function close(): Promise<void> {
  for (const consumer of consumers) consumer.pause()
  await Promise.all(running)
  await driver.close()
  report({ kind: 'closed' })
}

async function work(limit: number, delivery: Delivery): Promise<void> {
  const { id, data } = delivery.event
  report({ kind: 'begin', limit, id, at: at() })
  // So that each group is equally busy.
  await setTimeout((data as { ms: number }).ms * limit)
  report({ kind: 'end', limit, id, at: at() })
  await delivery.settle({ kind: 'done' })
}
