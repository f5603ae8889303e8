import childProcess, { type ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { expect, onTestFinished, test, vi } from 'vitest'
import { agent, type App } from '../../src/index.ts'
import { AcceptedDivergences } from '../../src/replay/accept.ts'
import { junit } from '../../src/replay/junit.ts'
import { replayInProcesses, type ReplayProcessOptions } from '../../src/replay/parallel.ts'
import { reportRecords, renderReport } from '../../src/replay/report.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { tidings } from '../lib/cli.ts'
import { ended, onAnyBus, type World } from '../lib/world.ts'
import first from '../../examples/first/app.ts'

/** The log of some tasks of an app, and how it is replayed. */
async function recorded(world: World, { use }: Pick<App, 'use'>, events: readonly { type: string; data: unknown }[]) {
  const running = await world.worker({ use })
  for (const event of events) {
    const { correlationid, id } = await running.bus.publish(event)
    await ended(running, correlationid, id, 10_000)
  }
  const source = sourceFromBus(running.bus, { all: true })
  return (module: string, options?: ReplayProcessOptions) =>
    replayInProcesses(
      import.meta.resolve(module),
      { recorded: () => source.events(), document: source.document },
      options,
    )
}

onAnyBus(world => {
  test('the same log gives the same report, byte for byte, however often and in however many processes', {
    timeout: 90_000,
  }, async () => {
    const questions = ['Sunday', 'Monday'].map(day => ({
      type: 'question.asked',
      data: { text: `When is the shop open on ${day}?` },
    }))
    const replay = await recorded(await world(), first, questions)
    expect(await replay('../../examples/first/app.ts')).toMatchObject({ tasks: 4, diverged: 0, skipped: [] })
    const none = { accepted: new AcceptedDivergences() }
    const written = async (jobs: number) => {
      const outcome = await replay('./other-first.ts', { jobs })
      return [
        [...renderReport(outcome, none, 120)],
        [...reportRecords(outcome, none)].map(each => JSON.stringify(each)),
        junit(outcome, none),
      ]
    }
    const [once, ...again] = [await written(1), await written(1), await written(3)]
    expect(once.flat().join('\n')).toContain('question.answered')
    for (const other of again) expect(other).toEqual(once)
    // Where the text lies, and the instructions of the model.
    const text = (once[0] as string[]).map(stripVTControlCharacters).join('\n')
    expect(text).toMatch(/desk: question.answered changed at data\.answer .*\n.*test\/replay\/other-first\.ts:\d+:\d+/)
    expect(text).toMatch(/helper: model.invoke .* changed at definition\.instructions/)
  })

  test('reaches no network, no other process or thread, and no file', { timeout: 60_000 }, async () => {
    let reached = 0
    const server = createServer((_request, response) => response.end(`${++reached}`)).listen(0, '127.0.0.1')
    server.on('connection', () => reached++)
    onTestFinished(() => void server.close())
    await new Promise(resolve => server.once('listening', resolve))
    const folder = await mkdtemp(join(tmpdir(), 'tidings-reached-'))
    await writeFile(join(folder, 'kept'), '')
    setEnvironment({ REACHED_PORT: String((server.address() as AddressInfo).port), REACHED_FOLDER: folder })
    onTestFinished(() => rm(folder, { recursive: true }))
    const { agents } = (await import('./reaching.ts')).default
    const names = agents.map(({ name }) => name)
    const quiet = names.map(name => agent(name, { on: 'go', run: () => 'done' }))
    const replay = await recorded(await world(), { use: quiet }, [{ type: 'go', data: null }])
    const { divergences } = await replay('./reaching.ts', { jobs: 1 })
    expect(new Set(divergences.map(({ program }) => program))).toEqual(new Set(names))
    for (const { program, kind, error, sourceLocation } of divergences) {
      expect([program, kind, error]).toEqual([program, 'threw', expect.stringContaining('during a replay')])
      // Of what Node refuses within a promise, only the definition is known.
      expect(sourceLocation).toContain('reaching.ts:')
    }
    expect(reached).toBe(0)
    expect((await readdir(folder)).filter(name => !name.startsWith('opened.db'))).toEqual(['kept'])
  })

  test('stops a replay that does not end, names the turn, and replays the rest', { timeout: 30_000 }, async () => {
    const use = ['endless', 'unborn', 'deadly', 'well'].map(name =>
      agent(name, {
        on: 'go',
        async run(ctx) {
          await ctx.sleep('1ms')
          return 'done'
        },
      }),
    )
    use[3] = agent('well', { on: 'go', run: () => 'done' })
    const go = { type: 'go', data: null }
    const replay = await recorded(await world(), { use }, [go, go])
    killForkedProcesses()
    setEnvironment({ NODE_OPTIONS: '--max-old-space-size=64' })
    const { divergences, skipped, tasks } = await replay('./endless.ts', { jobs: 1, turnTimeoutMs: 3_000 })
    expect(divergences.map(({ program, turn, error }) => `${program} ${turn} ${error}`).toSorted()).toEqual([
      expect.stringMatching(/^deadly 1 the app ended the process: SIG/),
      'endless 2 the turn did not end within 3 s',
      'unborn 1 the turn did not end within 3 s',
    ])
    for (const { sourceLocation } of divergences) expect(sourceLocation).toContain('endless.ts:')
    expect(tasks).toBe(5)
    expect(skipped.map(({ why }) => why).toSorted()).toEqual(
      ['deadly', 'endless', 'unborn'].map(name => `${name} got stuck in another task and is not run again`),
    )
  })

  test('hints at the clock and at chance, by the line', { timeout: 60_000 }, async () => {
    const names = ['now', 'date', 'chance', 'id', 'web', 'same']
    const use = names.map(name => agent(name, { on: 'go', run: () => (name === 'same' ? 0 : 'recorded') }))
    const replay = await recorded(await world(), { use }, [{ type: 'go', data: null }])
    const outcome = await replay('./changing.ts')
    const hints = outcome.divergences.map(({ program, hints }) => [program, hints?.map(({ what }) => what).join()])
    expect(Object.fromEntries(hints)).toEqual({
      now: 'Date.now()',
      date: 'new Date()',
      chance: 'Math.random()',
      id: 'crypto.randomUUID()',
      web: 'crypto.getRandomValues()',
    })
    const lines = (await readFile(join(import.meta.dirname, 'changing.ts'), 'utf8')).split('\n')
    for (const { program, hints } of outcome.divergences) {
      const line = lines.findIndex(each => each.includes(`by('${program}'`)) + 1
      expect(hints![0]!.sourceLocation).toContain(`/changing.ts:${line}:`)
    }
    const text = [...renderReport(outcome, { accepted: new AcceptedDivergences() }, 120)]
      .map(stripVTControlCharacters)
      .join('\n')
    expect(text).toMatch(/hint: Math\.random\(\) at test\/replay\/changing\.ts:\d+:\d+ returns another value each time/)
  })

  test('keeps what the app prints out of what it prints', { timeout: 60_000 }, async () => {
    const log = await world()
    await recorded(log, { use: [agent('same', { on: 'go', run: () => 0 })] }, [{ type: 'go', data: null }])
    const app = join(import.meta.dirname, 'changing.ts')
    const { stdout, stderr } = await tidings(log.place, ['replay', '--json', '--jobs', '1', '--app', app])
    expect(stdout.trim().split('\n').map(line => JSON.parse(line) as object)).toMatchObject([{ record: 'total', verdict: 'same' }]) // biome-ignore format: short
    expect(stderr).toBe('loaded\nsame runs\n')
  })
})

/** Kills what a test forks when the test is over: an endless process would outlive a replay that does not kill it. */
function killForkedProcesses() {
  const fork = vi.spyOn(childProcess, 'fork')
  syncBuiltinESMExports()
  onTestFinished(() => {
    for (const { value } of fork.mock.results) (value as ChildProcess).kill('SIGKILL')
    fork.mockRestore()
    syncBuiltinESMExports()
  })
}

/** For the processes of one test. */
function setEnvironment(values: Record<string, string>) {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name]
    process.env[name] = value
    onTestFinished(() => void (before === undefined ? delete process.env[name] : (process.env[name] = before)))
  }
}
