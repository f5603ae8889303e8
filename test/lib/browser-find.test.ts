import { afterEach, expect, test, vi } from 'vitest'
import { findBrowser } from './browser-find.ts'

afterEach(() => void vi.unstubAllEnvs())

test('TIDINGS_BROWSER names the only candidate', async () => {
  vi.stubEnv('TIDINGS_BROWSER', '/nowhere/chromium')
  expect(await findBrowser()).toEqual({ reason: expect.stringContaining('/nowhere/chromium does not run') })
  vi.stubEnv('TIDINGS_BROWSER', process.execPath)
  expect(await findBrowser()).toMatchObject({ source: 'TIDINGS_BROWSER', version: process.versions.node })
})

test('without a browser and a download the reason says what to do', async () => {
  vi.stubEnv('TIDINGS_BROWSER', '')
  vi.stubEnv('PATH', '')
  vi.stubEnv('XDG_CACHE_HOME', '/nowhere')
  expect(await findBrowser()).toEqual({ reason: 'no browser: npm test downloads one' })
})
