import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../../src/index.ts'
import { launch, tidings } from '../lib/cli.ts'
import { ask, onAnyBus, type World } from '../lib/world.ts'

/* Each of the exit codes, and that none of the ways to replay nothing is green. */

const library = JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))

/** A log of two agents that ran, and apps to replay it with: the agents, and what each completes with. */
async function recorded(log: World) {
  const use = ['one', 'two'].map(name => agent(name, { on: `${name}.asked`, run: () => name }))
  const running = await log.worker({ use })
  for (const { name } of use) await ask(running, { type: `${name}.asked`, data: null })
  await log.stop()
  const folder = await mkdtemp(join(tmpdir(), 'tidings-gate-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  let written = 0
  return async (agents: Record<string, string>, ...args: string[]) => {
    const file = join(folder, `app${++written}.ts`)
    const members = Object.entries(agents).map(
      ([name, output]) => `agent('${name}', { on: '${name}.asked', run: () => ${JSON.stringify(output)} })`,
    )
    await writeFile(
      file,
      `import { agent, app } from ${library}\nexport default app({ name: 'test', use: [${members.join()}] })`,
    )
    return ['replay', '--app', file, '--jobs', '1', ...args]
  }
}

const both = { one: 'one', two: 'two' }

onAnyBus(world => {
  it('reports the result by its exit code', { timeout: 120_000 }, async () => {
    const log = await world()
    const argsFor = await recorded(log)
    const replay = async (agents: Record<string, string>, ...args: string[]) => {
      const { code, stdout, stderr } = await tidings(log.place, await argsFor(agents, ...args))
      return { code, text: stdout + stderr }
    }
    const says = (code: number, text: string) => ({ code, text: expect.stringContaining(text) })
    expect(await replay(both)).toEqual(says(0, '2 tasks, 2 turns replayed: 0 divergences\n'))
    expect(await replay(both, '--expect-at-least', '2')).toMatchObject({ code: 0 })
    expect(await replay({ ...both, two: 'other' })).toEqual(says(1, '1 turn in 1 task decide differently'))
    if (log.place.bus !== 'sqlite') return // The verdict does not depend on where the events come from.
    // A removed agent, an app that has nothing to do with the log, and less than was expected.
    expect(await replay({ one: 'one' })).toEqual(says(4, '1 task not replayed'))
    expect(await replay({ other: 'one' })).toEqual(says(4, '2 tasks not replayed'))
    expect(await replay(both, '--expect-at-least', '3')).toEqual(says(3, 'expected at least 3 tasks'))
    expect(await replay({ one: 'one' }, '--expect-at-least', '2')).toMatchObject({ code: 3 })
    // A time in which nothing happened.
    expect(await replay(both, '--since', '1ms')).toEqual(says(3, 'the selection contains no task'))
    expect(await replay(both, '--sinse', '24h')).toEqual(says(2, 'E_USAGE'))
    expect(await replay(both, '--accept', 'no-such-file.json')).toEqual(says(2, 'E_NOT_FOUND'))
    expect(await replay({ one: 'one', 'no name': '' })).toEqual(says(2, 'E_APP_INVALID'))
  })

  it('of an empty log is not green, and neither is that in its report for CI', async () => {
    const [log, empty] = [await world(), await world()]
    const argsFor = await recorded(log)
    await empty.worker({ use: [] })
    await empty.stop()
    const xml = join(empty.place.home, 'replay.xml')
    expect(await tidings(empty.place, await argsFor(both, '--junit', xml))).toMatchObject({ code: 3 })
    expect(await readFile(xml, 'utf8')).toContain('failures="1"')
  })

  it('is not green when its reader goes away', { timeout: 60_000 }, async () => {
    const log = await world()
    const argsFor = await recorded(log)
    const closed = async (agents: Record<string, string>) => {
      const child = launch(log.place, await argsFor(agents, '--json'))
      child.stdout.destroy()
      await once(child, 'close')
      return child.exitCode
    }
    expect(await closed({ ...both, two: 'other' })).toBe(1)
    expect(await closed({ one: 'one' })).toBe(4)
    expect(await closed(both)).toBe(2)
  })

  it('accepts what is meant, and no other value later', { timeout: 60_000 }, async () => {
    const log = await world()
    const argsFor = await recorded(log)
    const accept = join(log.place.home, 'accepted.json')
    const replay = async (two: string, ...args: string[]) =>
      tidings(log.place, await argsFor({ ...both, two }, '--accept', accept, ...args))
    expect(await replay('other', '--update')).toMatchObject({ code: 0 })
    expect(await replay('other')).toMatchObject({ code: 0, stdout: expect.stringContaining('accepted 1 ×') })
    expect(await replay('worse')).toMatchObject({ code: 1, stdout: expect.stringContaining('with other values') })
  })
})
