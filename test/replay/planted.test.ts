import { expect, onTestFinished, test } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { replayInProcesses } from '../../src/replay/parallel.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { start } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { answerAll } from '../../examples/report-desk/sample.ts'
import { Checkout } from './planted.ts'

/* A tool result is misread in production, and 500 tasks later somebody mends the line. */

const right = "call('written', writer, s => ({ question: s.asked.question, notes: s.sorted.found }))"
const wrong = right.replace('s.sorted.found', '[s.sorted.found[0]]')
const questions = [
  'What does the lamp of the lighthouse do?',
  'When do boats leave the harbour?',
  'Which corn does the mill grind?',
  'What does the lamp burn, and how fast does a swallow fly?',
]

test('the code that recorded 500 tasks agrees with them; the fixed code differs only in those that the bug affected', async () => {
  const checkout = await Checkout.make()
  const faulty = await checkout.app('faulty', 'workflows.ts', [right, wrong])
  const mended = await checkout.app('mended')

  const app = await faulty.load()
  const place = { home: checkout.home, bus: 'sqlite' }
  const running = await start(app, { ...place, only: ['agents', 'tools', 'models'] })
  const ending = new AbortController()
  const approving = answerAll(running.bus, ending.signal)
  const asked = 60
  for (let i = 0; i < asked; i++)
    await running.bus.publish({ type: 'question.asked', data: { question: questions[i % questions.length] } })
  const completed = async () => {
    const events = await Array.fromAsync(running.bus.read({ filter: [{ types: ['report.completed'] }] }))
    return events.length === asked
  }
  await until(completed, { within: 120_000 })
  await until(async () => (await running.bus.driver.listGroups()).every(({ lag }) => lag === 0))
  ending.abort()
  await approving
  await running.stop()

  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  const source = sourceFromBus(bus, { all: true })
  const replayed = (module: string) =>
    replayInProcesses(module, { recorded: () => source.events(), document: source.document })

  const same = await replayed(faulty.module)
  expect(same).toMatchObject({ diverged: 0, divergences: [], skipped: [] })
  expect(same.tasks).toBeGreaterThanOrEqual(500)

  const turns: { event: CloudEvent; data: Turn }[] = []
  for await (const { event } of source.events())
    if (event.type === 'task.turn') turns.push({ event, data: event.data as Turn })
  const expected = firstMet(turns)
  expect(expected.size).toBeGreaterThan(10)
  expect(expected.size).toBeLessThan(asked)

  const { divergences } = await replayed(mended.module)
  expect(new Map(divergences.map(({ task, turn }) => [task, turn]))).toEqual(expected)
  const line = await mended.lineOf('workflows.ts', "workflow('desk'")
  for (const divergence of divergences) {
    expect(divergence).toMatchObject({ kind: 'changed', program: 'desk', what: 'agent.invoke writer' })
    expect(divergence.sourceLocation).toContain(`/mended/report-desk/workflows.ts:${line}:`)
  }
  expect(new Set(divergences.map(({ signature }) => signature)).size).toBe(1)
}, 240_000)

/** Of each question to which several notes found something: the turn in which the desk told the writer. */
function firstMet(turns: readonly { event: CloudEvent; data: Turn }[]): Map<string, number> {
  const met = new Map<string, number>()
  const several = new Set<string>()
  for (const { event, data } of turns) {
    if (data.program !== 'desk') continue
    const task = event.id.split(':')[0]!
    for (const input of data.inputs) {
      const { output } = (input.data ?? {}) as { output?: { found?: unknown[] } }
      if (output?.found && output.found.length > 1) several.add(task)
    }
    const tellsWriter = data.emits.some(({ wait }) => wait?.target === 'writer')
    if (tellsWriter && several.has(task) && !met.has(task)) met.set(task, data.version)
  }
  return met
}
