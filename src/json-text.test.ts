import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExactly } from './json-text.ts'

test('a number is a number where it is written again as it was sent, else it is its text', () => {
  const kept = [
    '0', '-0', '0.1', '21.500000', '9007199254740992', '-9007199254740991', '9007199254740994', '0.10000000000000001',
    '0.30000000000000004', '1e23', '6.02214076e23', '1.5E+300', '5e-324', '0e999', '0.10000000000000000555',
    '100000000000000000000', '0.0000000000000000000000000000000001',
  ] // biome-ignore format: one list
  const texts = [
    '9007199254740993', '-9007199254740993', '-30023997515803312', '12345678901234567890', '12345678901234567.89', '1e400', '-1e400', '1e-400',
    '3.14159265358979323846', '1234567890123.4567', '9.007199254740993e15', '18446744073709551615', '1.23456789e-320', `1.${'0'.repeat(120)}1`,
  ] // biome-ignore format: one list
  for (const text of kept) expect([text, parseExactly(text)]).toEqual([text, JSON.parse(text)])
  for (const text of texts) expect([text, parseExactly(text)]).toEqual([text, text])
})

test('only numbers are looked at, wherever they stand', () => {
  const text = '{"id":9007199254740993,"text":"9007199254740993 1e9","list":[1,12345678901234567890],"__proto__":1e5}'
  expect(JSON.stringify(parseExactly(text))).toBe(
    '{"id":"9007199254740993","text":"9007199254740993 1e9","list":[1,"12345678901234567890"],"__proto__":100000}',
  )
  expect(() => parseExactly('{"id":9007199254740993')).toThrow(SyntaxError)
  const deep = '['.repeat(200_000) + '9007199254740993' + ']'.repeat(200_000)
  expect(Array.isArray(parseExactly(deep))).toBe(true)
})

test('what JavaScript writes is read as it was, and what it cannot hold is never another number', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.double({ noNaN: true, noDefaultInfinity: true })), value => {
      expect(parseExactly(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), id => {
      const read = parseExactly(`${id}`)
      expect(typeof read === 'number' ? read.toLocaleString('fullwide', { useGrouping: false }) : read).toBe(`${id}`)
    }),
  )
})
