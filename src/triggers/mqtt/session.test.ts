import { setTimeout } from 'node:timers/promises'
import type { IPublishPacket } from 'mqtt'
import { expect, test, vi } from 'vitest'
import { MemoryDriver } from '../../testing/memory/driver.ts'
import { MemoryLog } from '../../testing/memory/log.ts'
import { openLog } from '../../../test/lib/mqtt.ts'
import { Bus } from '../../bus/bus.ts'
import { toMqttMessage } from './message.ts'
import { Session, type KnownMessage } from './session.ts'

/* Which messages were received before, judged by the packets of a broker. A restart opens a new session. */

const source = '/triggers/mqtt'
const open = (bus: Bus) => Session.open(bus, { clientId: 'desk', source, types: ['mqtt.received'] })

const packet = (messageId: number, payload: string, more: Partial<IPublishPacket> = {}): IPublishPacket => ({
  cmd: 'publish', topic: 'hall', payload: Buffer.from(payload), qos: 1, dup: false, retain: false, messageId, ...more,
}) // biome-ignore format: one table

/** As a message is taken: it is on the log, and answered unless told. Returns the id of its event. */
async function take(bus: Bus, session: Session, from: IPublishPacket, isAnswered = true): Promise<string> {
  const known: KnownMessage = session.identify(toMqttMessage(from))
  if (known.position === undefined) {
    const { position } = await bus.publish({ id: known.id, type: 'mqtt.received', source, data: null })
    await session.markStored(known, position)
  }
  if (isAnswered) known.answeredAt = performance.now()
  return known.id
}

async function opened() {
  const { bus } = await openLog()
  const session = await open(bus)
  // As before each connection.
  await session.save({ sure: false })
  return { bus, session }
}

const dup = { dup: true }

test('QoS 1: a repetition with DUP is recognised, also after a restart; the same content without it is another message', async () => {
  const { bus, session } = await opened()
  const first = await take(bus, session, packet(1, '21.5'))
  expect(await take(bus, session, packet(1, '21.5', dup))).toBe(first)
  const again = await open(bus)
  expect(await take(bus, again, packet(1, '21.5', dup))).toBe(first)
  expect(await take(bus, again, packet(2, '21.5', dup))).not.toBe(first)
  expect(await take(bus, again, packet(1, '22', dup))).not.toBe(first)
  const second = await take(bus, await open(bus), packet(1, '21.5'))
  expect(second).not.toBe(first)
})

test('QoS 1: an unacknowledged message is delivered again, with or without DUP', async () => {
  const { bus, session } = await opened()
  const first = await take(bus, session, packet(1, '21.5'), false)
  expect(await take(bus, session, packet(1, '21.5'))).toBe(first)
  expect(await take(bus, session, packet(1, '21.5'))).not.toBe(first)
})

test('QoS 1: if a broker reuses packet ids at once, no new message is treated as a repetition', async () => {
  const { bus, session } = await opened()
  await take(bus, session, packet(1, '21.5'))
  const second = await take(bus, session, packet(1, '21.5'))
  const third = await take(bus, session, packet(1, '21.5', dup))
  expect(third).not.toBe(second)
  expect(await take(bus, await open(bus), packet(1, '21.5', dup))).not.toBe(third)
})

test('QoS 2: a packet id is known until its PUBREL, over restarts, and free from then on', async () => {
  const { bus, session } = await opened()
  const two = { qos: 2 } as const
  const first = await take(bus, session, packet(1, '21.5', two))
  const second = await take(bus, session, packet(2, '21.5', two))
  expect(second).not.toBe(first)
  expect(await take(bus, session, packet(1, '21.5', { ...two, ...dup }))).toBe(first)
  await session.release(2)
  const again = await open(bus)
  expect(await take(bus, again, packet(1, '21.5', two))).toBe(first)
  expect(await take(bus, again, packet(2, '21.5', { ...two, ...dup }))).not.toBe(second)
  await again.release(1)
  const last = await open(bus)
  const third = await take(bus, last, packet(1, '21.5', two))
  expect(third).not.toBe(first)
  expect(await take(bus, await open(bus), packet(1, '21.5', two))).toBe(third)
})

test('QoS 2: of the messages with one packet id the last one counts after a restart, in whichever partition', async () => {
  const bus = new Bus(new MemoryDriver(new MemoryLog({ partitions: 3 })))
  const two = { qos: 2 } as const
  for (let round = 0; round < 12; round++) {
    const session = await open(bus)
    // While a message is not on the log yet, the session document does not say that the others need not be read.
    session.identify(toMqttMessage(packet(2, `in flight in ${round}`, two)))
    await take(bus, session, packet(1, `first of ${round}`, two))
    await session.release(1)
    await setTimeout(2)
    const second = await take(bus, session, packet(1, `second of ${round}`, two))
    const again = await open(bus)
    expect(await take(bus, again, packet(1, `second of ${round}`, { ...two, ...dup }))).toBe(second)
    await again.release(1)
  }
})

test('where the broker has no session any more, packet ids begin again', async () => {
  for (const qos of [1, 2] as const) {
    const { bus, session } = await opened()
    const first = await take(bus, session, packet(1, '21.5', { qos }))
    await session.reset()
    expect(await take(bus, await open(bus), packet(1, '21.5', { qos, dup: true }))).not.toBe(first)
  }
})

test('an id in the message identifies it at any QoS, whatever the packet id', async () => {
  const { bus, session } = await opened()
  const named = (id: string) => ({ properties: { userProperties: { id } } })
  const first = await take(bus, session, packet(1, '21.5', named('a')))
  expect(await take(bus, session, packet(7, '21.5', named('a')))).toBe(first)
  expect(await take(bus, session, packet(1, '21.5', { ...named('b'), ...dup }))).not.toBe(first)
  expect(await take(bus, session, packet(1, '22', named('a')))).not.toBe(first)
  const other = await Session.open(bus, { clientId: 'other', source, types: ['mqtt.received'] })
  expect(await take(bus, other, packet(0, '21.5', { qos: 0, ...named('a') }))).toBe(first)
})

test('acknowledged messages are forgotten, so that little of the log is read at a start', async () => {
  const { bus, session } = await opened()
  for (let i = 1; i <= 20; i++) await take(bus, session, packet(i, '21.5'))
  const waits = await take(bus, session, packet(21, '21.5', { qos: 2 }))
  await session.forgetAnswered(performance.now())
  const read = vi.spyOn(bus.driver, 'read')
  const again = await open(bus)
  expect(read.mock.calls).toEqual([[expect.objectContaining({ after: '20' })]])
  expect(await take(bus, again, packet(21, '21.5', { qos: 2 }))).toBe(waits)
  await again.release(21)
  await open(bus)
  expect(read.mock.calls[1]).toMatchObject([{ after: '21' }])
})

test('the state of the session stays small, however many messages arrive', async () => {
  const { bus, session } = await opened()
  const some = Array.from({ length: 700 }, () => ({ type: 'something.else', data: null }))
  for (let i = 0; i < 3; i++) await bus.publishAll(some)
  for (let i = 1; i <= 2_100; i++) {
    const known = session.identify(toMqttMessage(packet(i, 'x')))
    await session.markStored(known, { partition: 0, offset: i })
    known.answeredAt = performance.now()
  }
  const read = vi.spyOn(bus.driver, 'read')
  await open(bus)
  // A thousand are kept, and the document is written each five hundred.
  expect(read.mock.calls).toEqual([[expect.objectContaining({ after: '1000' })]])
})
