import { expect, test } from 'vitest'
import { OpenCalls } from './open-calls.ts'

test('closing is done once, refuses later calls and waits for earlier ones', async () => {
  const calls = new OpenCalls()
  const work = Promise.withResolvers<string>()
  const running = calls.run(() => work.promise)
  const failing = calls.run(() => Promise.reject(new Error('no'))).catch(() => 'failed')
  let stops = 0
  let isClosed = false
  const stop = async () => {
    stops++
    await calls.settled()
    isClosed = true
  }
  const closed = Promise.all([calls.close(stop), calls.close(stop)])
  await expect(calls.run(async () => 1)).rejects.toMatchObject({ code: 'E_BUS_CLOSED' })
  expect(() => calls.assertOpen()).toThrow('closed')
  expect(await failing).toBe('failed')
  expect(isClosed).toBe(false)
  work.resolve('done')
  expect(await running).toBe('done')
  await closed
  expect([stops, isClosed, calls.isClosed]).toEqual([1, true, true])
})
