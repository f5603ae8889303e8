import { expect, test } from 'vitest'
import { retentionHorizon } from './retention.ts'

const base = { head: 100, young: 80, maxLag: 50, tasks: [], groups: [] }

test('age holds the log back, unless a live task or a group needs older events', () => {
  expect(retentionHorizon(base)).toEqual({ horizon: 80, heldBy: 'age' })
  const tasks = [
    { offset: 70, heldBy: 'task a' },
    { offset: 90, heldBy: 'task b' },
  ]
  expect(retentionHorizon({ ...base, tasks })).toEqual({ horizon: 70, heldBy: 'task a' })
  const groups = [{ offset: 60, heldBy: 'group g' }]
  expect(retentionHorizon({ ...base, tasks, groups })).toEqual({ horizon: 60, heldBy: 'group g' })
})

test('a group that is too far behind is reported, where that loses it something', () => {
  const groups = [{ offset: 10, heldBy: 'group slow' }]
  expect(retentionHorizon({ ...base, groups })).toEqual({
    horizon: 80,
    heldBy: 'age; group slow no longer holds the log back: it is 91 events behind',
  })
  expect(retentionHorizon({ ...base, young: 5, groups })).toEqual({ horizon: 5, heldBy: 'age' })
})
