import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { logFile } from '../src/drivers/sqlite/schema.ts'
import { createEvent } from '../src/event.ts'
import { freePort } from '../src/testing/ports.ts'
import { until } from '../src/testing/wait.ts'
import { launch, tidings } from './lib/cli.ts'

/* What becomes of the folder of an embedded log while it is open, while it is not, and who can read it. */

async function folder(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'tidings-home-'))
  onTestFinished(() => rm(parent, { recursive: true, force: true }))
  return join(parent, 'home')
}

const publish = async (home: string, count = 1) => {
  const driver = await openSqlite({ home })
  for (let n = 0; n < count; n++) await driver.publish([entry()])
  await driver.close()
}
const entry = (data: unknown = null) => {
  const event = createEvent({ type: 'job.made', data })
  return { event, json: JSON.stringify(event) }
}

describe('the folder of a log that is open', () => {
  const changes: Record<string, (home: string) => void> = {
    'is removed': home => rmSync(home, { recursive: true }),
    'is moved away': home => renameSync(home, `${home}-away`),
    'is replaced by a copy': home => {
      cpSync(home, `${home}-copy`, { recursive: true })
      rmSync(home, { recursive: true })
      renameSync(`${home}-copy`, home)
    },
    'loses its log': home => rmSync(logFile(home)),
    'loses its write-ahead log': home => rmSync(`${logFile(home)}-wal`),
  }
  it.each(Object.entries(changes))('%s: nothing is acknowledged from then on', async (_, change) => {
    const home = await folder()
    const driver = await openSqlite({ home })
    onTestFinished(() => driver.close())
    const first = entry()
    await driver.publish([first])
    change(home)
    for (const each of [entry(), entry(), first])
      await expect(driver.publish([each])).rejects.toMatchObject({ code: 'E_LOG_REPLACED', retryable: true })
    await expect(driver.putDocument('x', '1', 0)).rejects.toMatchObject({ code: 'E_LOG_REPLACED' })
    // Nor is a folder made again that nobody would look into.
    if (!existsSync(home)) await expect(driver.blobs!.put('default', Buffer.from('x'))).rejects.toThrow()
    if (!existsSync(logFile(home)))
      await expect(openSqlite({ home })).rejects.toMatchObject({
        code: expect.stringMatching(/^E_LOG_(REPLACED|INCOMPLETE)$/),
      })
  })

  it('is put back: the worker continues', async () => {
    const home = await folder()
    const driver = await openSqlite({ home })
    onTestFinished(() => driver.close())
    renameSync(home, `${home}-away`)
    await expect(driver.publish([entry()])).rejects.toMatchObject({ code: 'E_LOG_REPLACED' })
    renameSync(`${home}-away`, home)
    await until(() => driver.publish([entry()]), { within: 15_000 })
  })

  it('of a worker: /health and the log lines report it, and no other process creates a log in its place', {
    timeout: 60_000,
  }, async () => {
    const home = await folder()
    const [port, place] = [await freePort(), { home, bus: 'sqlite' }]
    const app = join(home, '../app.ts')
    const index = join(import.meta.dirname, '../src/index.ts')
    await writeFile(
      app,
      `import { agent, app } from '${index}'\nexport default app({ use: [agent('a', { run: async () => 1 })] })\n`,
    )
    process.env.TIDINGS_PORT = String(port)
    const worker = launch(place, ['run', app, '--only', 'gateway', '--json'])
    delete process.env.TIDINGS_PORT
    onTestFinished(() => void worker.kill('SIGKILL'))
    let printed = ''
    worker.stderr.on('data', chunk => (printed += chunk))
    const health = async () => fetch(`http://127.0.0.1:${port}/health`)
    await until(async () => (await health()).status === 200, { within: 20_000 })
    rmSync(home, { recursive: true })
    await until(() => printed.includes('E_LOG_REPLACED'), { within: 15_000 })
    const ill = await until(async () => {
      const answer = await health()
      return answer.status === 503 && ((await answer.json()) as object)
    })
    expect(ill).toMatchObject({
      status: 'unavailable',
      error: { code: 'E_LOG_REPLACED', next: expect.stringContaining('Stop every process') },
    })
    const headers = { 'content-type': 'application/json' }
    const posted = await fetch(`http://127.0.0.1:${port}/events`, { method: 'POST', headers, body: '{"type":"a.b"}' })
    expect([posted.status, await posted.json()]).toMatchObject([503, { error: { code: 'E_LOG_REPLACED' } }])
    const second = await tidings(place, ['publish', 'a.b', '1'])
    expect(second).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`process ${worker.pid} had it open`),
    })
    expect(existsSync(logFile(home))).toBe(false)
    worker.kill('SIGKILL')
    await once(worker, 'close')
    expect(await tidings(place, ['publish', 'a.b', '1'])).toMatchObject({ code: 0 })
  })
})

describe('a log that has lost data', () => {
  const losses: Record<string, (home: string) => void> = {
    'is gone': home => rmSync(logFile(home)),
    'is empty': home => truncateSync(logFile(home)),
    'is another one': home => {
      rmSync(logFile(home))
      renameSync(logFile(`${home}-other`), logFile(home))
    },
    'is an older copy': home => {
      rmSync(`${logFile(home)}-wal`, { force: true })
      cpSync(`${logFile(home)}.old`, logFile(home))
    },
    'has no events any more': home => {
      const db = new DatabaseSync(logFile(home))
      db.exec('DELETE FROM log')
      db.close()
    },
  }
  it.each(Object.entries(losses))('%s: it is not opened, and the error says what to do', async (_, lose) => {
    const home = await folder()
    await publish(`${home}-other`, 5)
    await publish(home)
    cpSync(logFile(home), `${logFile(home)}.old`)
    await publish(home, 3)
    lose(home)
    for (const _ of [1, 2])
      await expect(openSqlite({ home })).rejects.toMatchObject({
        code: 'E_LOG_INCOMPLETE',
        message: expect.stringContaining('delete'),
      })
    rmSync(join(home, 'log.mark'))
    await publish(home)
    await publish(home)
  })

  it('lost its write-ahead log with the process that wrote it', async () => {
    const home = await folder()
    const script = join(home, '../publisher.ts')
    await writeFile(
      script,
      `import { openSqlite } from '${join(import.meta.dirname, '../src/drivers/sqlite/index.ts')}'
      import { createEvent } from '${join(import.meta.dirname, '../src/event.ts')}'
      const driver = await openSqlite({ home: '${home}' })
      const event = createEvent({ type: 'job.made', data: 1 })
      await driver.publish([{ event, json: JSON.stringify(event) }])
      process.kill(process.pid, 'SIGKILL')`,
    )
    await once(spawn(process.execPath, [script], { stdio: 'inherit' }), 'close')
    cpSync(home, `${home}-whole`, { recursive: true })
    rmSync(`${logFile(home)}-wal`)
    await expect(openSqlite({ home })).rejects.toMatchObject({
      code: 'E_LOG_INCOMPLETE',
      message: expect.stringContaining('events up to 1 were acknowledged'),
    })
    const whole = await openSqlite({ home: `${home}-whole` })
    expect(await whole.head()).toBe('1')
    await whole.close()
  })
})

describe('the files of a log', () => {
  const wide = (path: string): string[] => [
    ...((statSync(path).mode & 0o077) === 0 ? [] : [path]),
    ...(statSync(path).isDirectory() ? readdirSync(path).flatMap(name => wide(join(path, name))) : []),
  ]
  const use = async (home: string) => {
    const driver = await openSqlite({ home })
    await driver.publish([entry()])
    await driver.blobs!.put('default', Buffer.from('secret'))
    driver.onSignal(() => {})
    const found = wide(home)
    await driver.close()
    expect((await tidings({ home, bus: 'sqlite' }, ['trace'])).code).toBe(0)
    return [...found, ...wide(home)]
  }

  it('are readable by their owner only, with any umask', async () => {
    const before = process.umask(0)
    onTestFinished(() => void process.umask(before))
    const home = await folder()
    expect(await use(home)).toEqual([])
    expect(readdirSync(home)).toEqual(expect.arrayContaining(['blobs', 'index', 'log.db', 'log.mark']))
  })

  it('become private if an earlier version left them readable', async () => {
    const home = await folder()
    await use(home)
    const open = (path: string): void => {
      if (statSync(path).isDirectory()) for (const name of readdirSync(path)) open(join(path, name))
      void chmod(path, statSync(path).isDirectory() ? 0o755 : 0o644)
    }
    open(home)
    await until(() => (statSync(home).mode & 0o077) !== 0)
    expect(await use(home)).toEqual([])
  })

  it('do not change the mode of other files in the folder', async () => {
    const home = await folder()
    mkdirSync(home, { mode: 0o755 })
    await writeFile(join(home, 'page.html'), 'hello', { mode: 0o644 })
    expect((await use(home)).toSorted()).toEqual(
      wide(home)
        .toSorted()
        .flatMap(path => [path, path]),
    )
    expect(wide(home)).toEqual([home, join(home, 'page.html')])
  })
})
