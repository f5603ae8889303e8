import { expect, test } from 'vitest'
import { isCurrent } from '../../scripts/console.ts'

test('the console was built from its sources as they are; if not: node scripts/console.ts', () => {
  expect(isCurrent()).toBe(true)
})
