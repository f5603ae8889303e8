import { expect, test } from 'vitest'
import { EventStreamReader, type EventStreamMessage } from './event-stream-reader.ts'

function eventsOf(text: string, pieces: number): EventStreamMessage[] {
  const events: EventStreamMessage[] = []
  const reader = new EventStreamReader(1_000, event => events.push(event), () => {}) // biome-ignore format: one line
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieces) reader.push(bytes.subarray(at, at + pieces))
  return events
}

test.for(['\n', '\r\n', '\r'])('reads events whose lines end in %j, in pieces of any size', newline => {
  const lines = ['\ufeffevent: one', 'data: größer', 'data:2', '', ': nothing', 'data: {"a":1}', 'id: 7', '', '']
  const expected = [
    { event: 'one', data: 'größer\n2' },
    { event: 'message', data: '{"a":1}', id: '7' },
  ]
  for (const pieces of [1, 2, 3, 5, 1_000]) expect(eventsOf(lines.join(newline), pieces)).toEqual(expected)
})
