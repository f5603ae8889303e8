import { expect, onTestFinished, test } from 'vitest'
import { Bus } from '../../bus/bus.ts'
import { MemoryDriver } from '../../testing/memory/driver.ts'
import { MemoryLog } from '../../testing/memory/log.ts'
import { until } from '../../testing/wait.ts'
import { anyone, type Principal } from '../identity/principal.ts'
import type { FrameFormat } from './encoding.ts'
import { streamRequest } from './stream-request.ts'
import { Streams } from './streams.ts'
import type { Transport } from './transport.ts'

/* What many clients share who are shown the same events. */

/** A connection that takes `room` writes, and no more until it is drained. */
class RecordedTransport implements Transport {
  readonly format: FrameFormat
  readonly written: Buffer[] = []
  readonly isIdle = true
  readonly #closing = new AbortController()
  readonly closed = this.#closing.signal
  #room: number
  #onDrain = () => {}

  constructor({ format = 'message', room = Infinity }: { format?: FrameFormat; room?: number } = {}) {
    this.format = format
    this.#room = room
  }

  get numbers() {
    const text = Buffer.concat(this.written).toString()
    return Array.from(text.matchAll(/"n":(\d+)/g), ([, n]) => Number(n))
  }

  open(): void {}
  heartbeat(): void {}
  end(): void {}

  write(bytes: Buffer, onTaken?: () => void): boolean {
    this.written.push(bytes)
    onTaken?.()
    return --this.#room > 0
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback
  }

  drain(): void {
    this.#room = Infinity
    this.#onDrain()
  }

  destroy(): void {
    this.#closing.abort()
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

function open() {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const streams = new Streams({ bus, maxBufferedBytes: 64 * 1024 })
  const opened: RecordedTransport[] = []
  onTestFinished(() => {
    streams.close()
    for (const transport of opened) transport.destroy()
  })
  const join = async (transport: RecordedTransport, principal: Principal = anyone, user?: string) => {
    opened.push(transport)
    await streams.open(streamRequest({ user, after: '0' }), principal, transport)
    return transport
  }
  let published = 0
  const publish = (count: number, type = 'count.made') =>
    bus.publishAll(upTo(count).map(() => ({ type, user: 'ada', data: { n: published++, filler: 'x'.repeat(200) } })))
  return { join, publish }
}

test('clients that are shown the same share one write for many events, wherever they joined', async () => {
  const { join, publish } = open()
  const clients = [await join(new RecordedTransport())]
  await publish(100)
  clients.push(await join(new RecordedTransport()))
  const [first, second] = clients as [RecordedTransport, RecordedTransport]
  let total = 100
  // Each has caught up when they share what is new.
  for (let hasJoined = false; !hasJoined; hasJoined = first.written.at(-1) === second.written.at(-1)) {
    await publish(1)
    total++
    await until(() => clients.every(({ numbers }) => numbers.length === total))
  }
  const [begun, again] = clients.map(({ written }) => written.length)
  for (const _ of upTo(10)) await publish(100)
  await until(() => clients.every(({ numbers }) => numbers.length === total + 1_000))
  for (const { numbers } of clients) expect(numbers).toEqual(upTo(total + 1_000))
  const writes = first.written.slice(begun)
  expect(writes.length).toBeLessThan(100)
  expect(second.written.slice(again).every((bytes, i) => bytes === writes[i])).toBe(true)
})

test('among those, each gets only what its credential may read', async () => {
  const { join, publish } = open()
  const clients = [
    await join(new RecordedTransport()),
    await join(new RecordedTransport(), { ...anyone, may: (_, type) => type !== 'secret.made' }),
    await join(new RecordedTransport(), { ...anyone, may: (_, type) => type !== 'count.made' }),
  ]
  for (const type of ['count.made', 'secret.made', 'other.made']) await publish(2, type)
  await until(() => clients.every(({ numbers }) => numbers.includes(5)))
  expect(clients.map(({ numbers }) => numbers)).toEqual([upTo(6), [0, 1, 4, 5], [2, 3, 4, 5]])
})

test('one that takes nothing holds at most its bound, does not hold up the others, and goes on where it was', async () => {
  const { join, publish } = open()
  const reading = await join(new RecordedTransport())
  const stuck = await Promise.all(
    [undefined, 'ada'].map(user => join(new RecordedTransport({ room: 1 }), anyone, user)),
  )
  for (const _ of upTo(20)) await publish(100)
  await until(() => reading.numbers.length === 2_000)
  for (const { written } of stuck) expect(written).toHaveLength(1)
  for (const each of stuck) {
    each.drain()
    await until(() => each.numbers.length === 2_000)
    expect(each.numbers).toEqual(upTo(2_000))
  }
})
