import { afterEach, expect, test, vi } from 'vitest'
import { TidingsError } from '../../errors.ts'
import { CopyGuard, markTtlMs } from './guard.ts'

afterEach(() => vi.useRealTimers())

/** A guard that has read an empty mark, on a store that answers when it is told. */
async function openGuard() {
  vi.useFakeTimers({ toFake: ['performance'] })
  let answer: PromiseWithResolvers<{ revision: number; value: string } | undefined> | undefined
  let reads = 0
  const guard = new CopyGuard({
    getDocument: () => {
      reads++
      return (answer ??= Promise.withResolvers()).promise
    },
    putDocument: async () => 0,
  })
  const reply = (mark?: object) => {
    answer?.resolve(mark && { revision: 1, value: JSON.stringify(mark) })
    answer = undefined
  }
  const first = guard.check()
  reply()
  await first
  return { guard, reply, readsUntilNow: () => reads }
}

test('one who asks often never waits, and the mark is read once at a time', async () => {
  const { guard, reply, readsUntilNow } = await openGuard()
  vi.advanceTimersByTime(markTtlMs / 2 + 1)
  expect([guard.isOpen, guard.isOpen, readsUntilNow()]).toEqual([true, true, 2])
  reply()
  await new Promise(resolve => setImmediate(resolve))
  vi.advanceTimersByTime(markTtlMs / 2 + 1)
  expect([guard.isOpen, readsUntilNow()]).toEqual([true, 3])
})

test('what a reading finds meanwhile closes the log, and an answer that does not come in time does, too', async () => {
  const { guard, reply } = await openGuard()
  vi.advanceTimersByTime(markTtlMs / 2 + 1)
  expect(guard.isOpen).toBe(true)
  vi.advanceTimersByTime(markTtlMs / 2)
  expect(guard.isOpen).toBe(false)
  reply({ role: 'source', state: 'copying', peer: 'new', at: 'now' })
  await new Promise(resolve => setImmediate(resolve))
  expect(guard.isOpen).toBe(false)
  const checking = guard.check()
  reply({ role: 'source', state: 'copying', peer: 'new', at: 'now' })
  await expect(checking).rejects.toThrow(TidingsError)
})
