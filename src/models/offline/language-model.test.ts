import type { LanguageModelV4FunctionTool, LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { offlineModel } from './language-model.ts'
import { notFound, notSearched } from './material.ts'
import { squeeze } from './sentences.ts'

const model = offlineModel({ msPerWord: 0 })
const path = 'node_modules/croner/README.md'
const passages = [
  {
    id: `${path}#14`,
    path,
    heading: 'Daylight saving time',
    text: `## Daylight saving time

Fixed-time jobs that fall into a DST gap run at the first valid
time after the gap. A time that occurs twice runs once, e.g. at the first occurrence.

\`\`\`js
const job = new Cron('0 30 2 * * *') // DST
\`\`\`

| option | meaning |
|---|---|
| utcOffset | This does not take care of daylight savings time, you want the timezone option instead. |`,
  },
  {
    id: `${path}#2`,
    path,
    heading: 'Features',
    text: 'Croner schedules functions with cron expressions in JavaScript.',
  },
  {
    id: 'docs/tea [hot].md#1',
    path: 'docs/tea [hot].md',
    heading: 'Tea',
    text: 'Pour boiling water over the green leaves.',
  },
]
const search: LanguageModelV4FunctionTool = {
  type: 'function',
  name: 'library_search',
  description: 'Search the documents',
  inputSchema: {
    type: 'object',
    properties: { query: { type: 'string' }, limit: { type: 'integer' } },
    required: ['query'],
  },
}
const read: LanguageModelV4FunctionTool = {
  type: 'function',
  name: 'library_read',
  description: 'Read one passage',
  inputSchema: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
}

const user = (text: string): LanguageModelV4Message => ({ role: 'user', content: [{ type: 'text', text }] })

async function say(prompt: LanguageModelV4Prompt, tools: LanguageModelV4FunctionTool[] = []) {
  const { content } = await model.doGenerate({ prompt, tools })
  return content.map(part => (part.type === 'text' ? part.text : '')).join('')
}

async function json<T>(schema: z.ZodType<T>, ask: unknown): Promise<T> {
  const text = typeof ask === 'string' ? ask : JSON.stringify(ask)
  const { content } = await model.doGenerate({
    prompt: [user(text)],
    responseFormat: { type: 'json', schema: z.toJSONSchema(schema) as never },
  })
  const [part] = content
  return schema.parse(JSON.parse(part?.type === 'text' ? part.text : ''))
}

/** Runs the researcher to its answer; `asText` sends tool results as text instead of JSON. */
async function research(question: string, library: typeof passages, asText = false) {
  const prompt: LanguageModelV4Prompt = [{ role: 'system', content: 'Answer and cite.' }, user(question)]
  const inputs: string[] = []
  for (let step = 0; step < 6; step++) {
    const { content, finishReason } = await model.doGenerate({ prompt, tools: [search, read] })
    const calls = content.filter(part => part.type === 'tool-call')
    if (calls.length === 0)
      return { answer: content.map(part => (part.type === 'text' ? part.text : '')).join(''), inputs }
    expect(finishReason.unified).toBe('tool-calls')
    prompt.push({ role: 'assistant', content: calls.map(call => ({ ...call, input: JSON.parse(call.input) })) })
    const results = calls.map(({ toolCallId, toolName, input }) => {
      inputs.push(`${toolName} ${input}`)
      const hits = library.map(({ text, ...hit }) => ({ ...hit, snippet: text.slice(0, 80), score: 1 }))
      const value = toolName === 'library_search' ? { hits } : library.find(({ id }) => id === JSON.parse(input).id)
      const output = asText
        ? { type: 'text' as const, value: JSON.stringify(value) }
        : { type: 'json' as const, value: value ?? null }
      return { type: 'tool-result' as const, toolCallId, toolName, output }
    })
    prompt.push({ role: 'tool', content: results })
  }
  throw new Error('The model did not come to an end')
}

/** The cited lines of an answer. */
function quotes(answer: string) {
  return [...answer.matchAll(/^(.+) \[(.+?#\w+)\]$/gm)].map(([, text = '', id = '']) => ({ text, id }))
}

const words = fc.constantFrom(
  ...'croner daylight saving time DST gap runs twice tea water the of a how does in # * | ` [ ] ( ) . ? : \n'.split(
    ' ',
  ),
)
const prose = fc.array(words, { maxLength: 40 }).map(list => list.join(' '))
const question = fc.oneof(prose, fc.string({ unit: 'grapheme', maxLength: 60 }))

describe('researcher', () => {
  test('searches, reads and quotes', async () => {
    const { answer, inputs } = await research('How does croner treat daylight saving time?', passages)
    expect(inputs).toEqual([
      expect.stringMatching(/^library_search .*croner.*daylight saving time.*DST/),
      `library_read {"id":"${path}#14"}`,
      expect.stringContaining('library_read'),
      expect.stringContaining('library_read'),
    ])
    expect(quotes(answer).map(quote => quote.id)).toContain(`${path}#14`)
    expect(answer).toContain('Fixed-time jobs that fall into a DST gap run at the first valid time after the gap.')
    expect(answer).not.toMatch(/new Cron|green leaves/)
    expect(await research('How does croner treat daylight saving time?', passages, true)).toEqual({ answer, inputs })
  })

  test.each([
    'How does zorblax treat daylight saving time?',
    'What is the airspeed velocity of an unladen swallow?',
    'Does croner support quantum teleportation?',
    'Who is the president of Brazil?',
    '?',
  ])('says that the documents do not answer %j', async asked => {
    const { answer } = await research(asked, passages)
    expect(answer).toContain(notFound)
    expect(quotes(answer)).toEqual([])
  })

  test('searches once more with other words if the first search found nothing', async () => {
    const { answer, inputs } = await research('How does croner treat daylight saving time?', [])
    expect(inputs).toHaveLength(2)
    expect(inputs[0]).not.toBe(inputs[1])
    expect(answer).toContain(notFound)
  })

  test('reports that the tools failed', async () => {
    const failed = { type: 'error-text' as const, value: 'disk is gone' }
    const turn = (toolCallId: string, query: string): LanguageModelV4Prompt => [
      { role: 'assistant', content: [{ type: 'tool-call', toolCallId, toolName: search.name, input: { query } }] },
      { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName: search.name, output: failed }] },
    ]
    const answer = await say([user('What is croner?'), ...turn('1', 'croner'), ...turn('2', 'what')], [search, read])
    expect(answer).toContain(notSearched)
  })

  test('calls a related tool of another kind once, and quotes its result', async () => {
    const weather = { ...read, name: 'weather_now', description: 'Tells the weather of a city' }
    const prompt = [user('What is the weather in Oslo?')]
    const { content } = await model.doGenerate({ prompt, tools: [weather] })
    expect(content).toMatchObject([{ type: 'tool-call', toolCallId: 'offline-1', toolName: 'weather_now' }])
    const output = { type: 'json' as const, value: { celsius: -3 } }
    const answer = await say(
      [
        ...prompt,
        {
          role: 'assistant',
          content: [{ type: 'tool-call', toolCallId: 'offline-1', toolName: 'weather_now', input: {} }],
        },
        { role: 'tool', content: [{ type: 'tool-result', toolCallId: 'offline-1', toolName: 'weather_now', output }] },
      ],
      [weather],
    )
    expect(answer).toContain('{"celsius":-3} [weather_now]')
  })

  test('quotes only what the tools returned, verbatim', async () => {
    await fc.assert(
      fc.asyncProperty(question, fc.array(prose, { maxLength: 4 }), async (asked, texts) => {
        const library = texts.map((text, i) => ({ id: `d${i}.md#${i}`, path: `d${i}.md`, heading: '', text }))
        for (const { text, id } of quotes((await research(asked, library)).answer)) {
          expect(squeeze(library.find(passage => passage.id === id)?.text ?? '')).toContain(text)
        }
      }),
    )
  })
})

describe('planner', () => {
  const plan = z.object({ parts: z.array(z.string()) })

  test.each([
    ['How does croner treat daylight saving time?', [/^How does croner/, /^croner: DST$/, /^croner: time zone$/]],
    ['What is hono, and how does it stream?', [/What is hono$/, /how does it stream/]],
    ['How do hono and chokidar handle errors?', [/^How/, /^hono: errors$/, /^chokidar: errors$/]],
    ['croner', [/^croner$/, /usage/]],
  ])('splits %j', async (asked, expected) => {
    const { parts } = await json(plan, asked)
    for (const [i, pattern] of expected.entries()) expect(parts[i]).toMatch(pattern)
  })

  test('finds the question in a mail', async () => {
    const { parts } = await json(plan, 'Hello,\n\nHow does croner treat daylight saving time?\n\nRegards, Ann')
    expect(parts[0]).toBe('How does croner treat daylight saving time?')
  })
})

describe('writer and reviewer', () => {
  const verdict = z.object({ approved: z.boolean(), remarks: z.array(z.string()) })
  const asked = 'How does croner treat daylight saving time?'
  const notes = [
    `## croner: DST\n\nA time that occurs twice runs once. [a.md#1]\n\nA time that is missing is skipped. [b [x].md#2]`,
    `## croner: time zone\n\nA time that occurs twice runs once. [a.md#1]`,
    `## croner: leap seconds\n\n${notFound}`,
  ]

  test('the report contains each statement of the notes once, and what was not found', async () => {
    const report = await say([user(JSON.stringify({ question: asked, notes }))])
    expect(report).toMatch(/^# How does croner treat daylight saving time\?\n\n## Short answer\n/)
    expect(report.split('A time that occurs twice runs once. [a.md#1]')).toHaveLength(2)
    expect(report).toContain('A time that is missing is skipped. [b [x].md#2]')
    expect(report).toContain(`- croner: leap seconds: ${notFound}`)
    expect(await json(verdict, { question: asked, draft: report })).toEqual({ approved: true, remarks: [] })
    expect(await say([user(`Question: ${asked}\n\nNotes:\n\n${notes.join('\n\n')}`)])).toBe(report)
  })

  test('the reviewer finds missing citations, repetitions and silence', async () => {
    const draft = '# Report\n\nIt is fast.\n\nIt runs once. [a#1]\n\nIt runs once. [a#1]'
    const { approved, remarks } = await json(verdict, { question: asked, draft })
    expect(approved).toBe(false)
    expect(remarks).toEqual([
      expect.stringContaining('"It is fast."'),
      expect.stringContaining('repeated: "It runs once."'),
      expect.stringContaining('daylight saving time'),
    ])
    const other = z.object({ verdict: z.enum(['approve', 'revise']), needsRevision: z.boolean() })
    expect(await json(other, { question: asked, draft })).toEqual({ verdict: 'revise', needsRevision: true })
  })

  test('an honest report without an answer is approved', async () => {
    const report = await say([user(JSON.stringify({ question: asked, notes: notes.slice(2) }))])
    expect(report).toContain(notFound)
    expect(await json(verdict, { question: asked, draft: report })).toMatchObject({ approved: true })
  })
})

test('writes word by word, until it is aborted', async () => {
  const abort = new AbortController()
  const prompt = [user('When is the shop open? The shop is open from Monday to Friday.')]
  const { stream } = await offlineModel({ msPerWord: 20 }).doStream({ prompt, abortSignal: abort.signal })
  const begin = performance.now()
  let words = 0
  const read = async () => {
    for await (const part of stream) if (part.type === 'text-delta' && ++words === 5) abort.abort(new Error('stopped'))
  }
  await expect(read()).rejects.toThrow('stopped')
  expect(words).toBe(5)
  expect(performance.now() - begin).toBeGreaterThan(4 * 20 - 5)
})

describe('any prompt', () => {
  test('gives the same answer each time, and streams what it generates', async () => {
    await fc.assert(
      fc.asyncProperty(question, fc.boolean(), async (asked, withTools) => {
        const options = { prompt: [user(asked)], ...(withTools && { tools: [search, read] }) }
        const first = await model.doGenerate(options)
        expect(await model.doGenerate(options)).toEqual(first)
        let text = ''
        const calls: unknown[] = []
        for await (const part of (await model.doStream(options)).stream) {
          if (part.type === 'text-delta') text += part.delta
          if (part.type === 'tool-call') calls.push(part)
          if (part.type === 'finish')
            expect(part).toMatchObject({ usage: first.usage, finishReason: first.finishReason })
        }
        expect([...(text ? [{ type: 'text', text }] : []), ...calls]).toEqual(first.content)
      }),
    )
  })

  test('fills any declared schema', async () => {
    const name = fc.constantFrom('parts', 'approved', 'remarks', 'title', 'sources', 'score', 'verdict', 'x')
    const leaf: fc.Arbitrary<z.ZodType> = fc.oneof(
      fc.constantFrom(z.string(), z.boolean(), z.null(), z.iso.datetime(), z.email(), z.url(), z.uuid(), z.literal(7)),
      fc.tuple(fc.nat(30), fc.nat(30)).map(([a, b]) =>
        z
          .string()
          .min(a)
          .max(a + b),
      ),
      fc.tuple(fc.integer({ min: -99, max: 99 }), fc.nat(9)).map(([a, b]) =>
        z
          .int()
          .min(a)
          .max(a + b),
      ),
      fc.integer({ min: -99, max: 99 }).map(a =>
        z
          .number()
          .gt(a)
          .lt(a + 1),
      ),
      fc.integer({ min: 1, max: 9 }).map(a => z.int().multipleOf(a).min(1)),
      fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 4 }).map(list => z.enum(list)),
    )
    const { shape } = fc.letrec<{ shape: z.ZodType }>(tie => ({
      shape: fc.oneof(
        { maxDepth: 3, depthSize: 'small' },
        leaf,
        fc.tuple(tie('shape'), fc.nat(4), fc.nat(4)).map(([item, a, b]) =>
          z
            .array(item)
            .min(a)
            .max(a + b),
        ),
        fc.tuple(tie('shape'), tie('shape')).map(([a, b]) => z.union([a, b])),
        fc.tuple(tie('shape'), tie('shape')).map(([a, b]) => z.tuple([a, b])),
        tie('shape').map(inner => inner.nullable()),
        fc.dictionary(name, tie('shape'), { maxKeys: 4 }).map(fields => z.object(fields)),
        fc.dictionary(name, tie('shape'), { maxKeys: 4 }).map(fields => z.object(fields).partial()),
      ),
    }))
    await fc.assert(fc.asyncProperty(shape, question, async (schema, asked) => void (await json(schema, asked))))
  })

  test('ends a recursive schema', async () => {
    const tree = z.object({
      title: z.string(),
      get parts() {
        return z.array(tree)
      },
      get next() {
        return tree.nullable()
      },
    })
    expect(await json(tree, 'How does croner treat daylight saving time?')).toHaveProperty('parts')
  })

  test('stops when it is aborted', async () => {
    await expect(
      (async () => model.doGenerate({ prompt: [user('?')], abortSignal: AbortSignal.abort() }))(),
    ).rejects.toThrow('aborted')
  })
})
