import { expect, test } from 'vitest'
import { ExpiredLeases } from './expired-leases.ts'

test('a lease that expired during an outage has an owner until nobody renews it for a while', () => {
  let now = 0
  const leases = new ExpiredLeases(() => now)
  expect(leases.hasNoOwner('a', 5)).toBe(false)
  now = 9_999
  expect(leases.hasNoOwner('a', 5)).toBe(false)
  // It was renewed, and expired again.
  expect(leases.hasNoOwner('a', 6)).toBe(false)
  now = 19_998
  expect(leases.hasNoOwner('a', 6)).toBe(false)
  now = 19_999
  expect(leases.hasNoOwner('a', 6)).toBe(true)
  leases.forget()
  expect(leases.hasNoOwner('a', 6)).toBe(false)
})
