import { renameSync } from 'node:fs'
import type * as promises from 'node:fs/promises'
import { appendFile, chmod, mkdir, mkdtemp, open, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { Bus } from '../../bus/bus.ts'
import { CommitFailures } from '../../testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../testing/sqlite/open-faulty.ts'
import { event, type CloudEvent } from '../../event.ts'
import type { FileEvent } from '../../received.ts'
import { warnings } from '../../../test/lib/warnings.ts'
import { collect, until } from '../../testing/wait.ts'
import { files, type FilesOptions } from './files.ts'

/** The real `lstat`, which reports a missing path before its caller learns of it. */
const missing = vi.hoisted(() => ({ told: undefined as ((path: string) => void) | undefined }))
vi.mock('node:fs/promises', async original => {
  const real = await original<typeof promises>()
  const lstat = async (...args: Parameters<typeof real.lstat>) => {
    try {
      return await real.lstat(...args)
    } catch (error) {
      missing.told?.(String(args[0]))
      throw error
    }
  }
  return { ...real, lstat }
})

const quick = { walkIntervalMs: 60_000, retryDelayMs: 50, flushIntervalMs: 60_000 }

async function openWorld() {
  const base = await mkdtemp(join(tmpdir(), 'tidings-files-'))
  const folder = join(base, 'inbox')
  await mkdir(folder)
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home: join(base, 'home') }, { commits }))
  const stops = new Set<() => Promise<void>>()
  onTestFinished(async () => {
    await Promise.all([...stops].map(stop => stop()))
    await bus.driver.close()
    await rm(base, { recursive: true })
  })
  const events = async () => (await collect(bus.read({}))).map(({ event }) => event as CloudEvent<FileEvent>)
  const story = async () => (await events()).map(({ type, data }) => `${type.replace('file.', '')} ${data.path}`)
  return {
    base,
    folder,
    bus,
    commits,
    events,
    story,
    at: (path: string) => join(folder, path),
    /** These come, in any order where `sorted`, and after a file that is dropped behind them nothing else. */
    async expectStory(expected: readonly string[]) {
      const inOrder = (found: readonly string[]) => found.toSorted()
      await until(async () => (await story()).length >= expected.length, { within: 30_000 }).catch(() => {})
      expect(inOrder(await story())).toEqual(inOrder(expected))
    },
    async text({ tenant, data }: CloudEvent<FileEvent>) {
      return Buffer.from((await bus.driver.blobs!.get(tenant, data.blob!))!).toString()
    },
    async start(options: Partial<FilesOptions> = {}, pace: Partial<typeof quick> = {}) {
      const trigger = files('inbox', { folder, stable: '150ms', ...options }, { ...quick, ...pace })
      const running = await trigger.start(bus)
      const stop = () => running.stop()
      stops.add(stop)
      return {
        trigger,
        running,
        stop: () => (stops.delete(stop), stop()),
        /** As a process that is killed: nothing more is written. */
        die: async () => {
          stops.delete(stop)
          commits.fail(1_000_000)
          await running.stop()
          commits.fail(0)
        },
      }
    },
  }
}

test('created, changed and removed, with the content as a blob', async () => {
  const { start, at, folder, events, expectStory, text } = await openWorld()
  const { running } = await start()
  expect(running.address).toBe(pathToFileURL(folder).href)
  await writeFile(at('a.txt'), 'one')
  await expectStory(['created a.txt'])
  const [created] = await events()
  expect(created).toMatchObject({
    type: 'file.created',
    source: '/triggers/inbox',
    subject: 'a.txt',
    data: {
      path: 'a.txt',
      folder,
      bytes: 3,
      blob: expect.stringMatching(/^sha256-/),
      modified: expect.stringMatching(/Z$/),
    },
  })
  expect(await text(created!)).toBe('one')
  await writeFile(at('a.txt'), 'two')
  await expectStory(['created a.txt', 'changed a.txt'])
  // Back to what it was: that is a change, too.
  await writeFile(at('a.txt'), 'one')
  await expectStory(['created a.txt', 'changed a.txt', 'changed a.txt'])
  expect(await text((await events())[2]!)).toBe('one')
  await rm(at('a.txt'))
  await expectStory(['created a.txt', 'changed a.txt', 'changed a.txt', 'removed a.txt'])
  expect((await events())[3]!.data).toEqual({ path: 'a.txt', folder })
  await writeFile(at('a.txt'), 'one')
  await expectStory(['created a.txt', 'changed a.txt', 'changed a.txt', 'removed a.txt', 'created a.txt'])
})

test('a file that is written slowly comes once, when it is whole', async () => {
  const { start, at, events, expectStory, text } = await openWorld()
  await start({ stable: '2s' })
  const file = await open(at('slow.log'), 'w')
  const begin = performance.now()
  let written = 0
  // The writer pauses for less than the file must rest.
  await until(
    async () => {
      if (performance.now() - begin < written * 100) return false
      await file.write('x'.repeat(1_000))
      return ++written === 12
    },
    { within: 30_000 },
  )
  await file.close()
  await expectStory(['created slow.log'])
  expect(await text((await events())[0]!)).toBe('x'.repeat(12_000))
})

test('what is moved into the folder is seen at once, an editor that replaces a file makes one change', async () => {
  const { start, base, at, events, story, expectStory, text } = await openWorld()
  await start({ stable: '10s' })
  await writeFile(join(base, 'ready.txt'), 'whole')
  await utimes(join(base, 'ready.txt'), new Date(), new Date(Date.now() - 60_000))
  await rename(join(base, 'ready.txt'), at('ready.txt'))
  await until(async () => (await story()).length > 0)
  await writeFile(at('.ready.txt.swp'), 'edited')
  await utimes(at('.ready.txt.swp'), new Date(), new Date(Date.now() - 30_000))
  await rename(at('.ready.txt.swp'), at('ready.txt'))
  await expectStory(['created ready.txt', 'changed ready.txt'])
  expect(await text((await events())[1]!)).toBe('edited')
})

test('changes during downtime are published after a restart, each once', async () => {
  const { start, at, expectStory } = await openWorld()
  const first = await start()
  await Promise.all(['same', 'touched', 'changed', 'gone', 'back'].map(name => writeFile(at(name), name)))
  const before = ['same', 'touched', 'changed', 'gone', 'back'].map(name => `created ${name}`)
  await expectStory(before)
  await first.stop()
  await rm(at('gone'))
  await writeFile(at('changed'), 'otherwise')
  await writeFile(at('touched'), 'touched')
  await rename(at('back'), at('.aside'))
  await rename(at('.aside'), at('back'))
  await writeFile(at('new'), 'new')
  const second = await start()
  const after = [...before, 'removed gone', 'changed changed', 'created new']
  await expectStory(after)
  await second.stop()
  await start()
  await writeFile(at('last'), '')
  await expectStory([...after, 'created last'])
})

test('nor after a crash, when the ledger is behind the log, not even where every file was touched since', async () => {
  const { start, at, expectStory } = await openWorld()
  const first = await start()
  await writeFile(at('early'), '1')
  await expectStory(['created early'])
  await first.stop()
  const second = await start()
  await writeFile(at('early'), '2')
  await writeFile(at('late'), '1')
  await writeFile(at('short'), '1')
  await expectStory(['created early', 'changed early', 'created late', 'created short'])
  await rm(at('short'))
  const story = ['created early', 'changed early', 'created late', 'created short', 'removed short']
  await expectStory(story)
  await second.die()
  for (const name of ['early', 'late']) await chmod(at(name), 0o600)
  await start()
  await writeFile(at('last'), '')
  await expectStory([...story, 'created last'])
})

test('two workers on one folder publish one event each time', async () => {
  const { start, at, expectStory } = await openWorld()
  await Promise.all([start(), start()])
  await Promise.all(Array.from({ length: 20 }, (_, i) => writeFile(at(`${i}`), `${i}`)))
  const created = Array.from({ length: 20 }, (_, i) => `created ${i}`)
  await expectStory(created)
  await rm(at('7'))
  await writeFile(at('last'), '')
  await expectStory([...created, 'removed 7', 'created last'])
})

test('while the log is away nothing is lost', async () => {
  const heard = warnings()
  const { start, at, commits, events, expectStory } = await openWorld()
  await start()
  commits.fail(1_000_000)
  await Promise.all(Array.from({ length: 10 }, (_, i) => writeFile(at(`${i}`), `${i}`)))
  await until(() => heard.length > 0)
  expect(await events()).toEqual([])
  commits.fail(0)
  await expectStory(Array.from({ length: 10 }, (_, i) => `created ${i}`))
  expect(heard).toEqual([expect.stringMatching(/^files inbox: cannot publish now, and will retry: /)])
})

test('two thousand files at once: all of them, each once', async () => {
  const { start, at, bus, events } = await openWorld()
  // The content of a thousand of them is stored, which takes the disk longest.
  await start({ maxBytes: 3 })
  const before = process.memoryUsage().rss
  await mkdir(at('many'))
  const names = Array.from({ length: 2_000 }, (_, i) => `many/${i}.txt`)
  for (let i = 0; i < names.length; i += 100)
    await Promise.all(names.slice(i, i + 100).map((name, k) => writeFile(at(name), `${i + k}`)))
  await until(async () => Number(await bus.driver.head()) >= names.length, { within: 60_000 })
  expect((await events()).map(({ data }) => data.path).toSorted()).toEqual(names.toSorted())
  expect(process.memoryUsage().rss - before).toBeLessThan(300e6)
}, 60_000)

test('links, hidden files and folders are passed over, and nothing outside is read', async () => {
  const { start, base, at, expectStory } = await openWorld()
  await mkdir(join(base, 'outside'))
  await writeFile(join(base, 'outside', 'secret'), 'secret')
  await start()
  await symlink(join(base, 'outside', 'secret'), at('link'))
  await symlink(join(base, 'outside'), at('folder'))
  await writeFile(at('.hidden'), 'x')
  await mkdir(at('.git'))
  await writeFile(at('.git/config'), 'x')
  await mkdir(at('sub/deep'), { recursive: true })
  await writeFile(at('sub/deep/file'), 'x')
  await expectStory(['created sub/deep/file'])
  // A file whose place a link takes is gone.
  await rm(at('sub/deep/file'))
  await symlink(join(base, 'outside', 'secret'), at('sub/deep/file'))
  await expectStory(['created sub/deep/file', 'removed sub/deep/file'])
})

test('only what matches, and types of its own', async () => {
  const heard = warnings()
  const { start, at, events } = await openWorld()
  const small = event('order.dropped', z.object({ path: z.string(), bytes: z.number().max(3) }))
  const { trigger } = await start({ match: '**/*.{csv,txt}', types: { '*.csv': small } })
  expect(trigger.types).toEqual(['order.dropped', 'file.created', 'file.changed', 'file.removed'])
  await mkdir(at('sub'))
  for (const name of ['a.csv', 'large.csv', 'b.txt', 'c.pdf', 'sub/d.csv'])
    await writeFile(at(name), name === 'large.csv' ? 'xxxxx' : 'x')
  await until(async () => (await events()).length >= 4)
  expect((await events()).map(({ type, data }) => `${type} ${data.path}`).toSorted()).toEqual([
    'file.created b.txt', 'file.created large.csv', 'file.created sub/d.csv', 'order.dropped a.csv',
  ]) // biome-ignore format: one list
  expect(heard).toEqual([expect.stringContaining('large.csv does not match order.dropped: bytes')])
})

test('names that are strange, and names that no event could carry', async () => {
  const heard = warnings()
  const { start, at, folder, events, expectStory } = await openWorld()
  await writeFile(Buffer.concat([Buffer.from(`${folder}/bad-`), Buffer.from([0xff])]), 'x')
  const strange = ['new\nline', ' space ', 'back\\slash', 'ünï💡', '-rf', 'qu\'ote"', 'x'.repeat(255)]
  for (const name of strange) await writeFile(at(name), 'x')
  await start()
  await expectStory(strange.map(name => `created ${name}`))
  expect((await events()).find(({ data }) => data.path === 'new\nline')!.subject).toBe('new line')
  expect(heard).toEqual([expect.stringContaining('its name is not UTF-8')])
})

test('a file that is too large comes without its content, also when it changes', async () => {
  const { start, at, events } = await openWorld()
  await start({ maxBytes: 100_000 })
  await writeFile(at('large'), Buffer.alloc(300_000, 1))
  await until(async () => (await events()).length === 1)
  expect((await events())[0]!.data).toMatchObject({ path: 'large', bytes: 300_000 })
  expect((await events())[0]!.data).not.toHaveProperty('blob')
  await appendFile(at('large'), 'x')
  await until(async () => (await events()).length === 2)
  expect((await events())[1]).toMatchObject({ type: 'file.changed', data: { bytes: 300_001 } })
})

test('an unreadable file is reported, and published when it becomes readable', async () => {
  unprivileged()
  const heard = warnings()
  const { start, at, story, expectStory } = await openWorld()
  await start({}, { walkIntervalMs: 50 })
  await mkdir(at('sub'))
  await writeFile(at('sub/known'), 'x')
  await expectStory(['created sub/known'])
  await writeFile(at('locked'), 'x', { mode: 0 })
  await chmod(at('sub'), 0)
  await until(() => heard.some(text => text.includes('"locked": EACCES')) && heard.some(text => text.includes('"sub/')))
  expect(await story()).toEqual(['created sub/known'])
  await chmod(at('sub'), 0o700)
  await chmod(at('locked'), 0o600)
  await expectStory(['created sub/known', 'created locked'])
})

/** Root may read everything: until the end of the test this process is nobody. */
function unprivileged() {
  if (process.geteuid!() !== 0) return
  process.setegid!(65_534)
  process.seteuid!(65_534)
  onTestFinished(() => {
    process.seteuid!(0)
    process.setegid!(0)
  })
}

test('where the folder is away its files are not removed', async () => {
  const heard = warnings()
  const { start, folder, at, expectStory } = await openWorld()
  await start({}, { walkIntervalMs: 50 })
  await writeFile(at('a'), 'a')
  await expectStory(['created a'])
  await rename(folder, `${folder}-away`)
  await until(() => heard.some(text => text.includes('is missing')))
  // Long enough to be looked for again and again.
  const away = performance.now()
  await until(() => performance.now() - away > 700)
  expect(heard).toHaveLength(1)
  await rename(`${folder}-away`, folder)
  await writeFile(at('b'), 'b')
  await expectStory(['created a', 'created b'])
})

test('what was not found while the folder was away is not removed when it is back', async () => {
  const { start, folder, at, expectStory } = await openWorld()
  await start()
  await writeFile(at('a'), 'a')
  await expectStory(['created a'])
  let misses = 0
  missing.told = path => {
    // The second time counts: by then it has been missing for long enough.
    if (path === at('a') && ++misses === 2) renameSync(`${folder}-away`, folder)
  }
  onTestFinished(() => void (missing.told = undefined))
  await rename(folder, `${folder}-away`)
  await until(() => misses === 2)
  await writeFile(at('b'), 'b')
  await expectStory(['created a', 'created b'])
})

test('a sample creates a file and removes it', async () => {
  const { start, bus, story } = await openWorld()
  const { trigger } = await start({ match: '*.csv' })
  await trigger.sendSample!(bus)
  await until(async () => (await story()).length === 2)
  expect(await story()).toEqual([
    expect.stringMatching(/^created tidings-sample-.*\.csv$/),
    expect.stringMatching(/^removed tidings-sample-.*\.csv$/),
  ])
})

test('a folder that is not there, and names that are none, are refused', async () => {
  const { start, base, at } = await openWorld()
  await expect(start({ folder: join(base, 'nowhere') })).rejects.toThrow(
    expect.objectContaining({ code: 'E_SETTING_INVALID', message: expect.stringContaining('nowhere') }),
  )
  await writeFile(at('file'), '')
  await expect(start({ folder: at('file') })).rejects.toThrow(/is not a folder/)
  expect(() => files('In Box', { folder: base })).toThrow(/invalid trigger name/)
  expect(() => files('inbox', { folder: base, maxBytes: -1 })).toThrow(/maxBytes/)
})
