import { expect, test } from 'vitest'
import type { Driver } from '../bus/driver.ts'
import { openDriver, registerDriver } from './drivers.ts'

test('a driver is opened by the scheme of its address', async () => {
  const opened: unknown[] = []
  const driver = { name: 'mine' } as Driver
  registerDriver('mine', address => {
    opened.push(address)
    return driver
  })
  expect(await openDriver({ bus: 'mine://host/log', home: '/data' })).toBe(driver)
  expect(await openDriver({ bus: 'mine', home: '/data' })).toBe(driver)
  expect(opened).toEqual([
    { bus: 'mine://host/log', home: '/data' },
    { bus: 'mine', home: '/data' },
  ])
})

test('the newest registration of a scheme counts', async () => {
  const [first, second] = [{ name: 'first' } as Driver, { name: 'second' } as Driver]
  registerDriver('twice', () => first)
  registerDriver('twice', () => second)
  expect(await openDriver({ bus: 'twice:', home: '' })).toBe(second)
})

test('the error for an unknown scheme lists the known ones and hides the password', async () => {
  await expect(openDriver({ bus: 'natz://me:secret@host/log', home: '' })).rejects.toMatchObject({
    code: 'E_BUS_UNKNOWN',
    message: expect.stringMatching(
      /^unknown bus "natz:\/\/host\/log": expected sqlite, nats:\/\/…, tls:\/\/….*; did you mean "nats"\?$/,
    ),
  })
  await expect(openDriver({ bus: 'x', home: '' })).rejects.toThrow('unknown bus "x": expected sqlite, nats://…')
})

test('an invalid scheme cannot be registered', () => {
  expect(() => registerDriver('Mine://', () => ({}) as Driver)).toThrow('"Mine://" is not a scheme')
})
