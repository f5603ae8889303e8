import { expect } from 'vitest'
import type { Delivery, EncodedEvent } from '../../bus/driver.ts'
import { cancelId, resultId } from '../../bus/ids.ts'
import { until } from '../wait.ts'
import { emitted, entries, entry, newTask, turn } from './entries.ts'
import type { Cases } from './world.ts'

export const calls: Cases = {
  'a call is settled when its answer or its cancellation is on the log': async world => {
    const [driver, other] = [await world.owner(), await world.open()]
    const task = newTask()
    const [answered, cancelled, open] = [0, 1, 2].map(n => emitted(task, 1, n, { type: 'tool.invoke' })) as [
      EncodedEvent,
      EncodedEvent,
      EncodedEvent,
    ]
    await driver.commit(turn(task, 0, { events: [answered, cancelled, open] }))
    for (const call of [answered, cancelled, open]) expect(await other.isCallSettled(call.event.id)).toBe(false)
    const { correlationid } = answered.event
    await other.publish([entry({ id: resultId(answered.event.id), type: 'tool.result', correlationid })])
    const cancellation = entry({ id: cancelId(cancelled.event.id), type: 'call.cancelled', correlationid })
    await driver.commit(turn(task, 1, { events: [cancellation] }))
    for (const member of [driver, other]) {
      expect(await member.isCallSettled(answered.event.id)).toBe(true)
      expect(await member.isCallSettled(cancelled.event.id)).toBe(true)
      expect(await member.isCallSettled(open.event.id)).toBe(false)
    }
  },

  'a claim succeeds once for a request, also after its member died, and its event is on the log': async world => {
    const [first, second] = [await world.open(), await world.open()]
    const claimOf = ({ event }: Delivery) =>
      entry({ id: `claim/${event.id}`, type: 'tool.claimed', correlationid: event.correlationid })
    const before = await world.join(first, { maxInFlight: 10 })
    await first.publish(entries(10))
    await until(() => before.deliveries.length === 10)
    for (const delivery of before.deliveries) {
      const claim = claimOf(delivery)
      const claimed = await Promise.all([1, 2].map(() => first.claim(delivery, claim)))
      expect(claimed.filter(Boolean)).toHaveLength(1)
      expect((await second.get(claim.event.id, claim.event.correlationid))?.event).toEqual(claim.event)
    }
    await world.close(first)
    const after = await world.join(second, { maxInFlight: 10 })
    await until(() => after.deliveries.length === 10)
    for (const delivery of after.deliveries) expect(await second.claim(delivery, claimOf(delivery))).toBe(false)
  },
}
