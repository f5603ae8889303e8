import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { app, type ModelLike, offlineModel, start } from '../../src/index.ts'
import { Library } from './library/library.ts'
import { members } from './members.ts'
import { answerAll } from './sample.ts'

type LanguageModel = Extract<ModelLike, { provider: string }>
type CallOptions = Parameters<LanguageModel['doStream']>[0]

let folder: string
let library: Library

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-desk-'))
  library = new Library(join(folder, 'library.sqlite'))
})

afterEach(() => {
  library.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Report {
  readonly markdown: string
  readonly answered: boolean
}

/** Asks the desk, with this model in all its agents, and says this to each draft. */
async function ask(model: LanguageModel, question: string, decision?: 'grant' | 'deny') {
  writeFileSync(join(folder, 'lamp.md'), '# Lamp\n\nThe lamp of the lighthouse turns once in thirty seconds.\n')
  await library.refresh(folder)
  const desk = app({ name: 'desk', use: members(library, join(folder, 'reports'), model).use })
  const { bus, stop } = await start(desk, { home: join(folder, 'home'), only: ['agents', 'tools', 'models'] })
  const ending = new AbortController()
  const answering = answerAll(bus, ending.signal, decision)
  try {
    const types: string[] = []
    let isOver = false
    let report: Report | undefined
    const { correlationid } = await bus.publish({ type: 'question.asked', data: { question } })
    for await (const { event } of bus.follow('0', [{ types: ['>'] }], AbortSignal.timeout(20_000))) {
      types.push(event.target ? `${event.type} ${event.target}` : event.type)
      if (event.correlationid !== correlationid) continue
      isOver ||= event.type === 'agent.task.completed' && event.source === '/workflows/desk'
      if (['report.completed', 'report.withheld'].includes(event.type))
        report = (await bus.resolve(event)).data as Report
      if (!isOver || !report) continue
      ending.abort()
      return { types, asked: (await answering).map(({ data }) => data.what.input), report }
    }
    throw new Error(`no report after: ${types.join(', ')}`)
  } finally {
    await stop()
  }
}

/** The offline model, with a text of another for the agent whose instructions say this. */
function withText(instructions: RegExp, text: (times: number) => string): LanguageModel & { asked: string[] } {
  const offline = offlineModel({ msPerWord: 0 })
  const asked: string[] = []
  const doStream = async (options: CallOptions) => {
    const prompt = JSON.stringify(options.prompt)
    if (!instructions.test(prompt)) return offline.doStream(options)
    asked.push(prompt)
    const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
    const parts = [
      { type: 'stream-start', warnings: [] },
      { type: 'text-start', id: '1' },
      { type: 'text-delta', id: '1', delta: text(asked.length) },
      { type: 'text-end', id: '1' },
      { type: 'finish', finishReason: { unified: 'stop', raw: undefined }, usage },
    ]
    return { stream: ReadableStream.from(parts) } as unknown as ReturnType<LanguageModel['doStream']>
  }
  return { ...offline, doStream, asked }
}

const question = 'How often does the lamp of the lighthouse turn?'
const truth = 'The lamp of the lighthouse turns once in thirty seconds. [lamp.md#1]'
const invented = 'The lamp of the lighthouse burns whale oil. [lamp.md#1]'

test('more than a dozen calls go to five agents, two workflows and their tools', async () => {
  const { types } = await ask(offlineModel({ msPerWord: 0 }), question)
  expect(types.filter(type => /^\w+\.invoke /.test(type)).length).toBeGreaterThan(12)
  for (const name of ['planner', 'section', 'researcher', 'writer', 'reviewer'])
    expect(types).toContain(`agent.invoke ${name}`)
  expect(types).toEqual(expect.arrayContaining(['tool.invoke library.search', 'tool.invoke library.read']))
})

test('a person approves the exact draft that is published, and the report names them', async () => {
  const { asked, report } = await ask(offlineModel({ msPerWord: 0 }), question)
  expect(asked).toEqual([{ question, draft: expect.stringContaining(truth), unanswered: [] }])
  expect(report.markdown).toContain('The lamp of the lighthouse turns once in thirty seconds. [1]')
  expect(report.markdown).toContain('Approved by ann.')
  expect(report.markdown).not.toContain('not certain')
})

test('a rejected draft is not published', async () => {
  const { types, report } = await ask(offlineModel({ msPerWord: 0 }), question, 'deny')
  expect(report).toEqual({ question, error: { code: 'E_APPROVAL_DENIED', message: 'denied by ann' } })
  expect(types.filter(type => type.startsWith('report.'))).toEqual(['report.withheld'])
})

test('a report without claims needs no approval', async () => {
  const { types, asked, report } = await ask(
    offlineModel({ msPerWord: 0 }),
    'What is the airspeed velocity of an unladen swallow?',
  )
  expect(asked).toEqual([])
  expect(types).not.toContain('agent.invoke writer')
  expect(report).toMatchObject({ answered: false, markdown: expect.stringContaining('do not answer this question.') })
})

test('a report that holds only some words of the question says that it may be about something else', async () => {
  const { asked, report } = await ask(
    offlineModel({ msPerWord: 0 }),
    'How often does the lamp of the lighthouse turn during storms?',
  )
  expect(asked).toEqual([
    expect.objectContaining({ draft: expect.stringMatching(/^This may not answer the question: /) }),
  ])
  expect(report.markdown).toContain('\n\nIt is not certain that this answers the question: ')
  expect(report.markdown).toContain('turns once in thirty seconds. [1]')
})

test('an invented claim is returned to the model and not published', async () => {
  const writer = withText(/You write a report/, () => `## Short answer\n\n${truth}\n\n${invented}`)
  const { report } = await ask(writer, question)
  expect(report.markdown).toContain('turns once in thirty seconds. [1]')
  expect(report.markdown).not.toContain('whale oil')
  expect(writer.asked).toHaveLength(3)
  expect(writer.asked[1]).toContain('Removed, since it does not stand in lamp.md#1')
})

test('a writer that fixes a draft down to nothing keeps the earlier text', async () => {
  const writer = withText(/You write a report/, times => (times === 1 ? `${truth}\n\n${invented}` : invented))
  const { asked, report } = await ask(writer, question)
  expect(asked).toMatchObject([{ draft: truth }])
  expect(report.markdown).toContain('turns once in thirty seconds. [1]')
})

test('a draft without any supported sentence is not sent for approval', async () => {
  const { asked, report } = await ask(
    withText(/You write a report/, () => invented),
    question,
  )
  expect(asked).toEqual([])
  expect(report.answered).toBe(false)
})

test('a reviewer that is never satisfied returns the draft twice', async () => {
  const reviewer = withText(/You review a draft/, () => '{"approved":false,"remarks":["Say more."]}')
  const { types, report } = await ask(reviewer, question)
  expect(report.answered).toBe(true)
  expect(reviewer.asked).toHaveLength(2)
  expect(types.filter(type => type === 'agent.invoke writer')).toHaveLength(3)
})

test('a researcher that invents everything leaves the question unanswered', async () => {
  const { report } = await ask(
    withText(/You look up one part/, () => invented),
    question,
  )
  expect(report.answered).toBe(false)
  expect(report.markdown).toContain('The documents do not answer this question.')
})
