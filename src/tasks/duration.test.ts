import { expect, test } from 'vitest'
import { deadlineFrom, duration, milliseconds } from './duration.ts'

test.each([
  ['30m', '30m', 1_800_000],
  ['30 minutes', '30m', 1_800_000],
  [' 1 day ', '1d', 86_400_000],
  ['1.5 hours', '1.5h', 5_400_000],
  ['2 seconds', '2s', 2_000],
  ['500 milliseconds', '500ms', 500],
  ['007ms', '7ms', 7],
])('the setting %j is the duration %s', (text, short, ms) => {
  expect(duration(text)).toBe(short)
  expect(milliseconds(duration(text))).toBe(ms)
  expect(deadlineFrom(1, duration(text))).toBe(1 + ms)
})

test.each(['', '30', 'soon', '-1m', '1 month', '30 M', '1h 30m', `${'9'.repeat(400)}s`])(
  'the setting %j is refused with its name',
  text => {
    expect(() => duration(text, 'PAYMENT_WITHIN')).toThrow(
      expect.objectContaining({
        code: 'E_SETTING_INVALID',
        message: expect.stringMatching(
          /^PAYMENT_WITHIN is "[^]*", which is not a duration: expected a number and its unit/,
        ),
      }),
    )
  },
)
