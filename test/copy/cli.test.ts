import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { entries } from '../../src/testing/conformance/entries.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { launch, tidings } from '../lib/cli.ts'

test('tidings copy: killed in the middle, out of room, run again, verified, undone', { timeout: 300_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'tidings-copy-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const [from, to] = [join(home, 'old'), join(home, 'new')]
  const old = await openSqlite({ home: from })
  for (let i = 0; i < 4; i++) await old.publish(entries(500))
  await old.close()
  const place = { home: from, bus: 'sqlite' }
  const copy = ['copy', '--from', `sqlite:${from}`, '--to', `sqlite:${to}`]

  const killed = launch(place, copy)
  const gone = new Promise(resolve => killed.on('exit', resolve))
  await until(() => existsSync(join(to, 'log.db')), { within: 60_000 })
  killed.kill('SIGKILL')
  await gone

  // No file of this process may be larger than 512 KiB.
  const full = await tidings(place, copy, ['bash', '-c', `trap '' XFSZ; ulimit -f 512; exec "$0" "$@"`])
  expect(full.code).toBe(1)
  expect(full.stderr).toMatch(/the log in "[^"]*\/new" (could not be written|cannot be opened): .* E_LOG_UNAVAILABLE/)

  const copied = await tidings(place, copy)
  expect(copied).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^verified: 2,?000 events and 0 blobs, sha256/),
  })
  const target = await openSqlite({ home: to })
  expect(new Set((await collect(target.read({}))).map(({ event }) => event.id)).size).toBe(2_000)
  await target.close()

  const refused = await tidings(place, ['publish', 'job.made', '--json'])
  expect(refused.code).toBe(1)
  expect(JSON.parse(refused.stderr)).toMatchObject({
    error: { code: 'E_LOG_MOVED', message: expect.stringContaining(to) },
  })
  expect((await tidings(place, [...copy, '--undo'])).code).toBe(0)
  const again = await openSqlite({ home: from })
  await new Bus(again).assertUsable()
  await again.close()
})
