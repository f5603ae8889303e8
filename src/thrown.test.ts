import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkedErrorData, errorData, TidingsError } from './errors.ts'
import { truncateText } from './thrown.ts'

const said = (thrown: unknown) => errorData(thrown, 'E_TOOL_THREW')
const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })

test.each<[string, unknown, object]>([
  ['undefined', undefined, { message: 'undefined was thrown' }],
  ['null', null, { message: 'null was thrown' }],
  ['a number', 42, { message: '42 was thrown' }],
  ['a text', 'no stock', { message: 'no stock' }],
  ['code and message', { code: 'OUT', message: 'no stock' }, { message: 'no stock', originalCode: 'OUT' }],
  ['an error with a code', refused, { message: refused.message, originalCode: 'ECONNREFUSED' }],
  [
    'a cause',
    new TypeError('fetch failed', { cause: refused }),
    { message: 'fetch failed: connect ECONNREFUSED 127.0.0.1:1', originalCode: 'ECONNREFUSED' },
  ],
  ['a cause that is quoted', new Error('cannot: no', { cause: new Error('no') }), { message: 'cannot: no' }],
  ['several', new AggregateError([new Error('a'), refused], 'all'), { message: `all: a; ${refused.message}` }],
  ['several, with no text', new AggregateError([refused]), { message: refused.message, originalCode: 'ECONNREFUSED' }],
  ['no text', new RangeError(''), { message: 'RangeError' }],
  ['an object', { reason: { at: 3 } }, { message: '{ reason: { at: 3 } }' }],
  ['a getter', { get message(): string { throw refused } }, { message: '{ message: [Getter] }' }],
  ['toString', { toString: () => { throw refused } }, { code: 'E_TOOL_THREW' }],
  ['a proxy', new Proxy({}, { get: () => { throw refused }, getPrototypeOf: () => { throw refused } }), { message: '{}' }],
  ['an error of ours', new TidingsError('E_TOOL_INPUT', 'x'), { code: 'E_TOOL_INPUT', message: 'x' }],
])('error data of what is thrown: %s', (_name, thrown, expected) => expect(said(thrown)).toMatchObject(expected)) // biome-ignore format: one case a line

test('causes that form a circle are read once', () => {
  const first = new Error('first')
  first.cause = new Error('second', { cause: first })
  expect(said(first).message).toBe('first: second')
})

test('the text of an error has at most 4,096 characters, and says how much was cut', () => {
  const { message } = said(new Error(`${'ab '.repeat(2_000)}${'x'.repeat(5_000_000)}`))
  expect(message.length).toBeLessThanOrEqual(4_096)
  expect(message).toMatch(/ab… \(\d+ more characters\)$/)
  const kept = message.slice(0, message.indexOf('…')).length
  expect(message).toContain(`(${5_006_000 - kept} more characters)`)
  // Cut once, however many errors pass it on.
  expect(new TidingsError('E_INTERNAL', message).message).toBe(message)
  expect(
    said(Object.assign(new TidingsError('E_INTERNAL', ''), { message: 'x'.repeat(9_000) })).message.length,
  ).toBeLessThan(4_097)
})

test('a text is cut between code points, and never within a secret', () => {
  expect(truncateText('😀'.repeat(5_000)).isWellFormed()).toBe(true)
  expect(truncateText(`x${'😀'.repeat(5_000)}`).isWellFormed()).toBe(true)
  const secret = `key=sk-${'A1'.repeat(30)}`
  for (let at = 3_960; at < 4_040; at += 7)
    expect(truncateText(`${'x'.repeat(at)} ${secret} ${'y'.repeat(200)}`)).toMatch(at < 3_965 ? /sk-|x…/ : /x…/)
})

test('whatever is thrown, error data is JSON and small', () => {
  const nasty = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withTypedArray: true,
  })
  const thrown = fc.oneof(nasty, fc.record({ code: nasty, message: nasty, cause: nasty, errors: fc.array(nasty) }))
  fc.assert(
    fc.property(thrown, value => {
      for (const data of [said(value), checkedErrorData(value, 'E_TOOL_THREW')]) {
        const json = JSON.stringify(data)
        expect(JSON.parse(json)).toEqual(data)
        expect(Buffer.byteLength(json)).toBeLessThan(32 * 1024)
        expect(data.message).toBeTypeOf('string')
      }
    }),
  )
})

test('error data of a program or a worker is kept, and bounded', () => {
  expect(checkedErrorData({ code: 'OUT', message: 'no stock', more: 1 }, 'E_TOOL_THREW')).toEqual({
    code: 'OUT',
    message: 'no stock',
  })
  expect(
    checkedErrorData({ code: 'OUT', message: 'x'.repeat(9_000), next: 'y'.repeat(9_000) }, 'E_TOOL_THREW').next!.length,
  ).toBeLessThan(4_097)
  expect(checkedErrorData('no stock', 'E_TOOL_THREW')).toMatchObject({ code: 'E_TOOL_THREW', message: 'no stock' })
})
