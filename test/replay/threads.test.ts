import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { stripVTControlCharacters } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { agent, type App } from '../../src/index.ts'
import { Accepted } from '../../src/replay/accept.ts'
import { junit } from '../../src/replay/junit.ts'
import { replayInThreads } from '../../src/replay/parallel.ts'
import { records, report } from '../../src/replay/report.ts'
import { fromBus } from '../../src/replay/source.ts'
import { ended, onEveryBus, type World } from '../lib/world.ts'
import first from '../../examples/first/app.ts'

/** The log of some tasks of an app, and how it is replayed. */
async function recorded(world: World, { use }: Pick<App, 'use'>, events: readonly { type: string; data: unknown }[]) {
  const running = await world.worker({ use })
  for (const event of events) {
    const { correlationid, id } = await running.bus.publish(event)
    await ended(running, correlationid, id, 10_000)
  }
  const source = fromBus(running.bus, { all: true })
  return (module: string, jobs?: number) =>
    replayInThreads(import.meta.resolve(module), { recorded: source.events(), document: source.document }, jobs)
}

onEveryBus(world => {
  test('the same log gives the same report, byte for byte, however often and on however many threads', async () => {
    const questions = ['Sunday', 'Monday'].map(day => ({
      type: 'question.asked',
      data: { text: `When is the shop open on ${day}?` },
    }))
    const replay = await recorded(await world(), first, questions)
    expect(await replay('../../examples/first/app.ts')).toMatchObject({ tasks: 4, diverged: 0, skipped: [] })
    const none = { accepted: new Accepted() }
    const written = async (jobs: number) => {
      const outcome = await replay('./other-first.ts', jobs)
      return [
        [...report(outcome, none, 120)],
        [...records(outcome, none)].map(each => JSON.stringify(each)),
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

  test('reaches no network and no other process', async () => {
    let reached = 0
    const server = createServer((_request, response) => response.end(`${++reached}`)).listen(0, '127.0.0.1')
    server.on('connection', () => reached++)
    onTestFinished(() => void server.close())
    await new Promise(resolve => server.once('listening', resolve))
    process.env.REACHED_PORT = String((server.address() as AddressInfo).port)
    onTestFinished(() => void delete process.env.REACHED_PORT)
    const names = ['socket', 'server', 'packet', 'name', 'process', 'fetching']
    const quiet = names.map(name => agent(name, { on: 'go', run: () => 'done' }))
    const replay = await recorded(await world(), { use: quiet }, [{ type: 'go', data: null }])
    const { divergences } = await replay('./reaching.ts')
    expect(new Set(divergences.map(({ program }) => program))).toEqual(new Set(names))
    for (const { program, kind, error, place } of divergences) {
      // Of what an agent awaits beside ctx, the failure is all that is seen.
      if (program === 'fetching') continue
      expect([kind, error]).toEqual(['threw', expect.stringContaining('during a replay')])
      expect(place).toContain('reaching.ts:')
    }
    expect(reached).toBe(0)
  })
})
