import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Bus } from '../../bus/bus.ts'
import { openSqlite } from '../../drivers/sqlite/index.ts'
import { warnings } from '../../../test/lib/warnings.ts'
import { collect, until } from '../../testing/wait.ts'
import { files } from './files.ts'
import type * as looking from './file-system.ts'

/** The real walk, which may find a folder that it cannot read, and waits at its end. */
const walking = vi.hoisted(() => ({ unreadable: undefined as string | undefined, end: async () => {} }))
vi.mock('./file-system.ts', async original => {
  const real = await original<typeof looking>()
  async function* walkFolder(...[folder, onProblem]: Parameters<typeof real.walkFolder>) {
    const { unreadable } = walking
    for await (const path of real.walkFolder(folder, onProblem))
      if (unreadable === undefined || !path.startsWith(unreadable)) yield path
    if (unreadable !== undefined) onProblem(unreadable, 'EACCES: permission denied')
    await walking.end()
  }
  return { ...real, walkFolder }
})

const token = `glpat-${'a1b2c3d4'.repeat(3)}`

/** A folder with `orders/`, and a trigger that can be started again and again on one log. */
async function openFolder(walkIntervalMs: number) {
  const base = await mkdtemp(join(tmpdir(), 'tidings-hidden-names-'))
  const folder = join(base, 'inbox')
  await mkdir(join(folder, 'orders'), { recursive: true })
  const bus = new Bus(await openSqlite({ home: join(base, 'home') }))
  const start = () =>
    files('inbox', { folder, stable: '100ms' }, { walkIntervalMs, retryDelayMs: 50, flushIntervalMs: 60_000 }).start(
      bus,
    )
  let running = await start()
  onTestFinished(async () => {
    Object.assign(walking, { unreadable: undefined, end: async () => {} })
    await running.stop()
    await bus.driver.close()
    await rm(base, { recursive: true })
  })
  const restart = async () => {
    await running.stop()
    running = await start()
  }
  const story = async () => (await collect(bus.read({}))).map(({ event }) => `${event.type} ${event.subject}`)
  const expectStory = async (...expected: string[]) => {
    await until(async () => (await story()).length >= expected.length)
    expect(await story()).toEqual(expected)
  }
  return { drop: (path: string) => writeFile(join(folder, path), path), restart, expectStory }
}

test('a file whose name is hidden is not taken for removed when it arrives during a walk', async () => {
  const { drop, expectStory } = await openFolder(50)
  const atEnd = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  walking.end = async () => {
    walking.end = async () => {}
    atEnd.resolve()
    await gate.promise
  }
  await atEnd.promise
  await drop(`orders/${token}`)
  await expectStory('file.created orders/[redacted gitlab-token]')
  gate.resolve()
  await drop('last')
  await expectStory('file.created orders/[redacted gitlab-token]', 'file.created last')
})

test('a file whose name is hidden is not taken for removed while its folder cannot be read after a restart', async () => {
  warnings()
  const { drop, restart, expectStory } = await openFolder(60_000)
  await drop(`orders/${token}`)
  await expectStory('file.created orders/[redacted gitlab-token]')
  walking.unreadable = 'orders/'
  await restart()
  await drop('last')
  await expectStory('file.created orders/[redacted gitlab-token]', 'file.created last')
})
