import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseId } from '../src/bus/ids.ts'
import type { CloudEvent } from '../src/event.ts'
import { openBus } from '../src/runtime/environment.ts'
import { until } from '../src/testing/wait.ts'
import { shortId } from '../src/trace/short-id.ts'
import { launch, tidings } from './lib/cli.ts'
import { eventsOf } from './lib/world.ts'

/* Redrive and fork as a person would use them: real processes, one of which is killed in the middle of a fork. */

const root = join(import.meta.dirname, '..')
const app = (folder: string) => `
import { appendFileSync, existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { agent, app, tool } from ${JSON.stringify(join(root, 'src/index.ts'))}
import { z } from ${JSON.stringify(join(root, 'node_modules/zod/index.js'))}
const run = name => appendFileSync(${JSON.stringify(join(folder, 'runs'))}, name + '\\n')
const note = tool('note', { description: '', input: z.string(), run: text => { run('note'); return 'noted ' + text } })
const gate = tool('gate', { description: '', input: z.string(), async run(text) {
  run('gate')
  while (!existsSync(${JSON.stringify(join(folder, 'open'))})) await setTimeout(10)
  return 'through ' + text
} })
const desk = agent('desk', { on: 'order.paid', async run(ctx, order) {
  const noted = await ctx.call(note, order)
  return [noted, await ctx.call(gate, order)]
} })
export default app({ name: 'again', use: [desk, note, gate] })
`

test('a redrive denies effects, and a fork continues after its worker is killed', { timeout: 40_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-again-'))
  const place = { home: join(folder, 'home'), bus: 'sqlite' }
  const file = join(folder, 'app.ts')
  await writeFile(file, app(folder))
  const runs = () =>
    existsSync(join(folder, 'runs')) ? readFileSync(join(folder, 'runs'), 'utf8').trim().split('\n') : []
  const json = async (...args: string[]): Promise<Record<string, never>> => {
    const { code, stdout, stderr } = await tidings(place, [...args, '--json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return JSON.parse(stdout.split('\n')[0]!)
  }
  const workers: ReturnType<typeof launch>[] = []
  const work = async () => {
    const worker = launch(place, ['run', file, '--only', 'agents,tools', '--json'])
    workers.push(worker)
    await once(worker.stdout, 'data')
    return worker
  }
  const kill = async (worker: ReturnType<typeof launch>) => {
    worker.kill('SIGKILL')
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
  }
  onTestFinished(async () => {
    await Promise.all(workers.map(kill))
    await rm(folder, { recursive: true, force: true })
  })

  const first = await work()
  const { correlationid } = await json('publish', 'order.paid', '"A"')
  await until(() => runs().length === 2, { within: 10_000 })
  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  const [turn] = (await eventsOf({ bus }, correlationid!)).filter(({ type }) => type === 'task.turn')
  const task = parseId(turn!.id)!.task
  const endOf = (correlation: string): Promise<CloudEvent> =>
    until(async () => (await eventsOf({ bus }, correlation)).find(({ type }) => /^agent\.task\.\w+$/.test(type)), {
      within: 10_000,
    })

  const dry = await json('redrive', '--correlation', correlationid!, '--app', file, '--dry-run')
  expect(dry).toMatchObject({ of: correlationid, effects: { 'tool/note': 'deny', 'tool/gate': 'deny' } })
  const { correlation, mark } = await json('redrive', '--correlation', correlationid!, '--app', file)
  expect((await endOf(correlation!)).data).toMatchObject({ error: { code: 'E_REPLAY_DENIED' } })
  expect(mark).toMatch(/^redrive\/[0-9a-f-]{36}$/)
  expect(runs()).toEqual(['note', 'gate'])

  await writeFile(join(folder, 'edits.json'), JSON.stringify({ [`${shortId(task)}:1:0:result`]: { output: 'edited' } }))
  const args = ['--edit', join(folder, 'edits.json'), '--effects', 'tool/gate=live', '--app', file]
  const forked = await json('fork', '--from', `${shortId(task)}@2`, ...args)
  await until(() => runs().length === 3, { within: 10_000 })
  await kill(first)
  await writeFile(join(folder, 'open'), '')
  await work()
  expect((await endOf(forked.correlation!)).data).toMatchObject({ output: ['edited', 'through A'] })
  expect((await endOf(correlationid!)).data).toMatchObject({ output: ['noted A', 'through A'] })
  expect(runs().filter(name => name === 'note')).toHaveLength(1)

  const { stdout } = await tidings(place, ['trace', forked.correlation!])
  expect(stdout).toContain(`fork of ${task}@2`)
  const wrong = await tidings(place, ['fork', '--from', `${task}@9`, '--app', file])
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('E_NOT_FOUND') })
})
