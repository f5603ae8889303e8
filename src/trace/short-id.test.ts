import { expect, test } from 'vitest'
import { longForm, shortId } from './short-id.ts'

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
