import { expect, onTestFinished, test } from 'vitest'
import { pullStream } from '../../../test/lib/pulled-stream.ts'
import { Bus } from '../../bus/bus.ts'
import { MemoryDriver } from '../../testing/memory/driver.ts'
import { MemoryLog } from '../../testing/memory/log.ts'
import { anyone } from '../identity/principal.ts'
import { Streams } from './streams.ts'

test('a client that leaves before its stream is open takes no place', async () => {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const streams = new Streams({ bus, maxStreams: 1 })
  onTestFinished(async () => {
    streams.close()
    await bus.close()
  })
  for (let n = 0; n < 3; n++) {
    const left = new AbortController()
    const first = pullStream(streams, {}, anyone, left.signal).next()
    left.abort()
    expect(await first).toMatchObject({ done: true })
  }
  const stays = new AbortController()
  onTestFinished(() => stays.abort())
  expect(await pullStream(streams, {}, anyone, stays.signal).next()).toMatchObject({
    value: { cursor: expect.any(String) },
  })
})
