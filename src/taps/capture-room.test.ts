import { expect, test } from 'vitest'
import { CaptureRoom } from './capture-room.ts'
import { BodyCollector } from './http/body-collector.ts'

test('what all exchanges keep of their bodies is bounded, and free again when they have ended', () => {
  const room = new CaptureRoom(10)
  const kept = (share = room.share(), text = '123456') => {
    const body = new BodyCollector(100, share)
    for (const character of text) body.push(Buffer.from(character))
    return { share, body: body.end(true) }
  }
  const first = kept()
  expect(first.body.bytes?.toString()).toBe('123456')
  const second = kept()
  expect(second.body).toEqual({ length: 6, sha256: first.body.sha256 })
  first.share.release()
  second.share.release()
  expect(kept(room.share(), '1234567890').body.bytes?.toString()).toBe('1234567890')
})
