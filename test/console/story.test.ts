import { expect, it } from 'vitest'
import { answerOf } from '../../console/src/views/ask/answer.ts'
import { Story } from '../../console/src/views/ask/story.ts'
import { aboutOf, doing, resultOf, textOfQuestion } from '../../console/src/views/ask/words.ts'
import { createEvent } from '../../src/event.ts'

/* What the page for people who ask makes of the events of a question. */

const correlation = '01a22cdb-ae88-7aa2-8ed6-e1f31848e6f0'
const [desk, writer] = [`${correlation}.aaaaaaaaaa`, `${correlation}.bbbbbbbbbb`]
const question = createEvent({
  id: correlation,
  type: 'question.asked',
  source: '/gateway',
  data: { question: 'Why?' },
})
const asked = createEvent({
  id: `${desk}:0000001:0`,
  type: 'agent.invoke',
  source: '/workflows/desk',
  causationid: question.id,
  target: 'writer',
  data: { input: { question: 'Why?', part: 'the tides' } },
})
const call = createEvent({
  id: `${writer}:0000001:0`,
  type: 'model.invoke',
  source: '/agents/writer',
  causationid: asked.id,
  target: 'gpt',
  data: {},
})
const delta = (text: string, offset: number, attempt = 'a') =>
  createEvent({
    type: 'model.delta',
    source: '/models/gpt',
    subject: call.id,
    data: { attempt, offset, part: 0, kind: 'text', text },
  })
const written = (story: Story) => story.snapshot().work[0]?.parts[0]?.text

it('shows a text from its first word on, also if a signal overtakes its request or comes after the answer', () => {
  const story = new Story()
  for (const event of [question, asked]) story.add(event)
  story.addSignal(delta('Low ', 0))
  story.add(call)
  expect(written(story)).toBe('Low ')
  story.addSignal(delta('tide', 4))
  expect(written(story)).toBe('Low tide')
  story.addSignal(delta('High', 0, 'b'))
  expect(written(story)).toBe('High')
  const text = 'High tide.'
  story.add(
    createEvent({
      id: `${call.id}:result`,
      type: 'model.result',
      source: '/models/gpt',
      call: call.id,
      data: { text },
    }),
  )
  story.addSignal(delta(' water', 4, 'b'))
  expect(written(story)).toBe(text)
})

it('puts each call below the task that made it, and is over with its roots', () => {
  const story = new Story()
  for (const event of [question, asked, call]) story.add(event)
  const { roots, work } = story.snapshot()
  expect(roots).toEqual([{ task: desk, program: 'desk', start: question.id, state: 'running' }])
  expect(work).toMatchObject([{ name: 'writer', state: 'running', parts: [{ kind: 'model', name: 'gpt' }] }])
  expect(work[0]).not.toHaveProperty('number')
  expect(aboutOf(work[0]!.input, ['Why?'])).toBe('the tides')
  const end = { type: 'agent.task.completed', data: { output: 'Because.' } }
  story.add(createEvent({ ...end, id: `${writer}:0000002:0`, source: '/agents/writer', call: asked.id }))
  expect(answerOf(story.snapshot(), false)).toBeUndefined()
  story.add(createEvent({ ...end, id: `${desk}:0000002:0`, source: '/workflows/desk' }))
  expect(story.snapshot()).toMatchObject({
    roots: [{ state: 'completed' }],
    work: [{ state: 'completed', output: 'Because.' }],
  })
  expect(answerOf(story.snapshot(), true)).toMatchObject({ kind: 'text', markdown: 'Because.' })
})

it('takes the newest event with a text or an error for the answer, with its sources', () => {
  const story = new Story()
  for (const event of [question, asked, call]) story.add(event)
  const read = createEvent({
    id: `${writer}:0000002:0`,
    type: 'tool.invoke',
    source: '/agents/writer',
    target: 'library.read',
    data: {},
  })
  story.add(read)
  const passage = { id: 'tides.md#3', text: 'The moon does it.', path: 'tides.md', place: 'line 3', heading: 'Tides' }
  story.add(
    createEvent({
      id: `${read.id}:result`,
      type: 'tool.result',
      source: '/tools/library.read',
      call: read.id,
      data: { output: passage },
    }),
  )
  const emitted = { source: '/agents/desk', id: `${desk}:0000003:0` }
  story.add(
    createEvent({ ...emitted, type: 'report.completed', data: { markdown: 'The moon. [tides.md#3]', files: {} } }),
  )
  expect(answerOf(story.snapshot(), false)).toMatchObject({
    markdown: 'The moon. [tides.md#3]',
    sources: [{ key: 'tides.md#3', title: 'Tides', place: 'tides.md, line 3', text: 'The moon does it.' }],
  })
  const error = { code: 'E_APPROVAL_DENIED', message: 'ann said no' }
  story.add(createEvent({ ...emitted, id: `${desk}:0000004:0`, type: 'report.withheld', data: { error } }))
  expect(answerOf(story.snapshot(), false)).toEqual({ kind: 'problem', what: 'report.withheld', problem: error })
})

it.each([
  [{ kind: 'tool', name: 'library.search' }, 'searching the library'],
  [{ kind: 'tool', name: 'getWeather' }, 'using get weather'],
  [{ kind: 'model', name: 'gpt', text: '' }, 'thinking'],
  [{ kind: 'model', name: 'gpt', text: 'Low' }, 'writing'],
  [{ kind: 'approval', name: 'editor', state: 'running' }, 'waiting for the approval of the editor'],
])('says of %j: %s', (work, words) => {
  expect(doing(work as Parameters<typeof doing>[0])).toBe(words)
})

it.each([
  [{ hits: [1, 2, 3] }, '3 hits'],
  [{ parts: ['one'] }, '1 part'],
  [{ approved: false, remarks: ['a', 'b'] }, 'not approved · 2 remarks'],
  [{ unsure: false, sections: [] }, 'no sections'],
  ['two\nlines of text', '4 words'],
  [null, ''],
])('says of the result %j: %s', (output, words) => {
  const work = { kind: 'tool', name: 'x', state: 'completed', output }
  expect(resultOf(work as unknown as Parameters<typeof resultOf>[0])).toBe(words)
})

it('repeats a question as it was asked, and a form by its fields', () => {
  expect(textOfQuestion(question)).toBe('Why?')
  expect(textOfQuestion({ type: 'agent.invoke', data: { input: 'Why?' } })).toBe('Why?')
  expect(textOfQuestion({ type: 'order.paid', data: { order: 'A-17', amount: 12 } })).toBe('Order A-17, amount 12')
  expect(textOfQuestion({ type: 'order.paid', data: {} })).toBe('Order paid')
})
