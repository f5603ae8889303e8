import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { agent, app, start } from '../../src/index.ts'

const idle = agent('idle', { on: 'idle.wanted', run: () => {} })

async function home() {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-key-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function serve(folder: string) {
  const running = await start(app({ name: 'key', use: [idle] }), {
    home: folder,
    bus: 'sqlite',
    only: ['gateway'],
    port: 0,
  })
  const url = new URL(running.console!)
  const approvals = (key?: string) =>
    fetch(new URL('/approvals', url), key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
  return { running, key: url.hash.slice('#key='.length), approvals }
}

test('without a policy the key in the address of the console answers approvals, and nothing else does', async () => {
  const folder = await home()
  const { running, key, approvals } = await serve(folder)
  expect((await approvals()).status).toBe(403)
  expect((await approvals(`${key}x`)).status).toBe(403)
  expect(await (await approvals(key)).json()).toEqual({ approvals: [] })
  expect((await stat(join(folder, 'console.key'))).mode & 0o777).toBe(0o600)
  expect(await readFile(join(folder, 'console.key'), 'utf8')).toBe(key)
  await running.stop()

  const again = await serve(folder)
  expect(again.key).toBe(key)
  await again.running.stop()
})
