import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineReader } from './line-reader.ts'

function linesOf(chunks: readonly Buffer[], maxBytes = 1_000) {
  const lines: string[] = []
  let tooLong = 0
  const reader = new LineReader(
    maxBytes,
    line => lines.push(line),
    () => tooLong++,
  )
  for (const chunk of chunks) reader.push(chunk)
  return { lines, tooLong }
}

test('lines do not depend on where chunks end, also inside of a character', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.nat(200)), (texts, cuts) => {
      const lines = texts.map(text => text.replaceAll('\n', ' ')).filter(text => text !== '')
      const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''))
      const at = [0, ...cuts.filter(cut => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
      const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end))
      expect(linesOf(chunks, 100_000).lines).toEqual(lines)
    }),
  )
})

test('a line that is too long is counted, and the next one is read', () => {
  const chunks = ['{"a":', 'x'.repeat(600), 'y'.repeat(600), '\n{"b":1}\n{"c":'].map(text => Buffer.from(text))
  expect(linesOf(chunks)).toEqual({ lines: ['{"b":1}'], tooLong: 1 })
})
