import { expect, test } from 'vitest'
import { instanceId } from '../bus/ids.ts'
import { isNamedBy, longForm, shortId, shortIdOf } from './short-id.ts'

const correlation = '01900000-0000-7000-8000-0000000000a1'
const task = `${correlation}.0123456789`

test.each([
  [task, '456789'],
  [`${task}:0000012`, '456789:12'],
  [`${task}:0000012:3:result`, '456789:12:3:result'],
  [`${task}:0000012:3:${correlation}:late`, `456789:12:3:${correlation}:late`],
  [correlation, '000000a1'],
  [`${correlation}:result`, '000000a1:result'],
  [`mail:${'0123456789abcdef'.repeat(4)}`, '89abcdef'],
  [`file:${'0123456789ab'.repeat(2)}:${'0123456789abcdef'.repeat(2)}:0123456789ab`, '456789ab'],
  [`file:${'0123456789ab'.repeat(2)}:removed:0123456789ab`, '456789ab'],
  // Chosen by somebody: any part of it may be that of others.
  ['order-20261129', 'order-20261129'],
  ['schedule:daily:2026-11-29T12:00:00.000Z', 'schedule:daily:2026-11-29T12:00:00.000Z'],
])('%s is shown as %s, which is the end of it', (id, short) => {
  expect(shortId(id)).toBe(short)
  expect(id.endsWith(longForm(short))).toBe(true)
})

test('two instances of a workflow have different short ids, which name one of them', () => {
  const [one, two] = ['a1', 'b2'].map(end => instanceId(correlation.slice(0, -2) + end, 'order'))
  const short = shortId(`${one}:0000012:3`, 'order')
  expect(short).toBe(`0000a1.${one!.slice(-4)}:12:3`)
  expect(shortIdOf({ id: `${one}:0000012:3`, source: '/workflows/order' })).toBe(short)
  expect(shortIdOf({ id: `${one}:0000012:3:result`, source: '/tools/x', target: 'order' })).toBe(`${short}:result`)
  for (const text of [short, `${one!.slice(-10)}:12:3`, `${one!.slice(-12)}:0000012:3`])
    expect(isNamedBy(`${one}:0000012:3`, text)).toBe(true)
  for (const other of [`${two}:0000012:3`, `${one}:0000013:3`, one!, 'order-20261129'])
    expect(isNamedBy(other, short)).toBe(false)
  expect(shortId(task, 'order')).toBe('456789')
})
