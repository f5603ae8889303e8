import { expect, it } from 'vitest'
import { PartialReader } from './partial-output.ts'

const read = async (pieces: readonly string[], call = 'one') => {
  const reader = new PartialReader()
  const seen: unknown[] = []
  for (const text of pieces) {
    const value = await reader.push({ type: 'text', agent: 'writer', name: 'model', call, part: 0, text })
    if (value) seen.push(value)
  }
  return seen
}

it('reads an object piece by piece, and leaves out pieces that add nothing', async () => {
  expect(await read(['```json\n{"title":"Ti', 'des"', ',', '"lines":["one', '","two"]}'])).toEqual([
    { title: 'Ti' },
    { title: 'Tides' },
    { title: 'Tides', lines: ['one'] },
    { title: 'Tides', lines: ['one', 'two'] },
  ])
})

it('begins again with another call, and when an attempt failed', async () => {
  const reader = new PartialReader()
  const of = { agent: 'writer', name: 'model', call: 'one', part: 0 }
  const piece = { ...of, type: 'text', text: '{"a":1' } as const
  expect(await reader.push(piece)).toEqual({ a: 1 })
  expect(await reader.push({ ...of, type: 'restart', kind: 'text' })).toBeUndefined()
  expect(await reader.push({ ...piece, text: '{"b":2}' })).toEqual({ b: 2 })
  expect(await reader.push({ ...piece, text: '{"c":3}', call: 'two' })).toEqual({ c: 3 })
  expect(await reader.push({ ...piece, text: 'no JSON', call: 'three' })).toBeUndefined()
})
