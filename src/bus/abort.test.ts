import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { unlessAborted } from './abort.ts'

test('a promise that many gave up to wait for keeps nothing of them, and gives the others its outcome', async () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const reasons: WeakRef<Error>[] = []
  for (let n = 0; n < 100; n++) {
    const late = new AbortController()
    const waited = unlessAborted(promise, late.signal)
    late.abort(new Error('late'))
    await waited.catch((error: Error) => reasons.push(new WeakRef(error)))
  }
  setFlagsFromString('--expose-gc')
  await setImmediate()
  runInNewContext('gc')()
  expect(reasons).toHaveLength(100)
  expect(reasons.filter(reason => reason.deref()).length).toBeLessThan(5)
  const { signal } = new AbortController()
  const both = [unlessAborted(promise, signal), unlessAborted(promise, signal)]
  resolve('done')
  expect(await Promise.all([...both, unlessAborted(promise, AbortSignal.abort())])).toEqual(['done', 'done', 'done'])
})
