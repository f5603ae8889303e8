import { execFileSync } from 'node:child_process'
import { cpSync, globSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { agent } from '../../src/index.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { launch, tidings } from '../lib/cli.ts'
import { ask, World } from '../lib/world.ts'

/* A replay of an embedded log writes nothing to it, and needs no folder that can be written. */

const canMount = (() => {
  try {
    execFileSync('unshare', ['-rm', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-read-only-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A log with one task, and the app that it is of. */
async function recorded() {
  const [home, folder] = [await temporary(), await temporary()]
  const world = new World(home, 'sqlite')
  const running = await world.worker({ use: [agent('one', { on: 'go', run: () => 'one' })] })
  await ask(running, { type: 'go', data: { large: 'x'.repeat(20_000) } })
  await world.stop()
  const app = join(folder, 'app.ts')
  const library = JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))
  await writeFile(
    app,
    `import { agent, app } from ${library}\nexport default app({ name: 'test', use: [agent('one', { on: 'go', run: () => 'one' })] })`,
  )
  return { place: world.place, args: ['replay', '--app', app, '--jobs', '1'] }
}

/** All that is in a folder, but for the table in which SQLite keeps its locks. */
const contents = (home: string) =>
  globSync('**', { cwd: home })
    .filter(name => name !== 'log.db-shm' && statSync(join(home, name)).isFile())
    .toSorted()
    .map(name => [name, readFileSync(join(home, name)).toString('base64')])

test('leaves the log as it is', { timeout: 60_000 }, async () => {
  const { place, args } = await recorded()
  const before = contents(place.home)
  expect(await tidings(place, args)).toMatchObject({ code: 0, stdout: expect.stringContaining('1 task, 1 turn') })
  expect(await tidings(place, [...args, '--correlation', 'last'])).toMatchObject({ code: 0 })
  expect(contents(place.home)).toEqual(before)
})

test.runIf(canMount)(
  'of a log in a folder that cannot be written: open, closed, and a backup',
  { timeout: 90_000 },
  async () => {
    const { place, args } = await recorded()
    const { home } = place
    const onlyRead = async (more: string[] = []) => {
      const script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
      const command = ['-rm', 'sh', '-c', script, 'sh', home]
      return new Promise(resolve => {
        const child = launch(place, [...args, ...more], ['unshare', ...command])
        let text = ''
        for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', part => (text += part))
        child.on('close', code => resolve({ code, text }))
      })
    }
    const same = { code: 0, text: expect.stringContaining('1 task, 1 turn') as string }
    expect(await onlyRead()).toMatchObject(same)
    expect(await onlyRead(['--correlation', 'last'])).toMatchObject(same)
    rmSync(join(home, 'log.db-shm'))
    expect(await onlyRead()).toMatchObject(same)
    execFileSync(process.execPath, ['-e', `
    const { DatabaseSync } = require('node:sqlite')
    const db = new DatabaseSync(${JSON.stringify(join(home, 'log.db'))})
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    db.close()`]) // biome-ignore format: code
    rmSync(join(home, 'log.db-wal'), { force: true })
    rmSync(join(home, 'log.db-shm'), { force: true })
    expect(await onlyRead()).toMatchObject(same)
  },
)

test('refuses to write, and to read a file that is not a log', async () => {
  const { place } = await recorded()
  const bus = await openBus(place, { readOnly: true })
  onTestFinished(() => bus.driver.close())
  await expect(bus.publish({ type: 'go', data: null })).rejects.toMatchObject({ code: 'E_LOG_READ_ONLY' })
  await expect(bus.publish({ type: 'go', data: 'x'.repeat(20_000) })).rejects.toMatchObject({ code: 'E_LOG_READ_ONLY' })
  const copy = await temporary()
  cpSync(place.home, copy, { recursive: true })
  for (const name of ['log.db', 'log.db-wal', 'log.db-shm']) rmSync(join(copy, name), { force: true })
  await expect(openBus({ home: copy, bus: 'sqlite' }, { readOnly: true })).rejects.toMatchObject({
    code: 'E_LOG_INCOMPLETE',
  })
  rmSync(join(copy, 'log.mark'))
  await expect(openBus({ home: copy, bus: 'sqlite' }, { readOnly: true })).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
  })
})
