import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { given, result } from '../testing/given.ts'
import { callTool, reply } from '../testing/scripted-model.ts'
import { tool } from '../tools/tool.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { agent } from './agent.ts'
import type { FinishRules } from './finish.ts'

const search = tool('web.search', { description: 'Searches.', input: z.object({ q: z.string() }), run: ({ q }) => [q] })
const writer = (finish?: FinishRules, output?: z.ZodType) =>
  given(
    agent('writer', {
      model: offlineModel(),
      instructions: 'Write.',
      tools: [search],
      ...(finish && { finish }),
      ...(output && { output }),
    }),
    { input: '?' },
  )
const cut = (text: string) => reply(text, { finish: 'length' })
const failure = (code: string) => [{ type: 'agent.task.failed', data: { error: { code } } }]
const goesOn = (code: string) => [{ type: 'agent.noted', data: { code } }, { type: 'model.invoke' }]
const completed = (output: unknown) => [{ type: 'agent.task.completed', data: { output } }]

describe('an answer that was cut off at the limit of output tokens', () => {
  it('is asked for its rest, and the pieces are joined', async () => {
    const story = writer().when(cut('Once upon '))
    const [noted] = await story.emits(goesOn('E_MODEL_LENGTH'))
    expect((noted!.data as { text: string }).text).toContain('Go on exactly where it stopped')
    await story.when(cut('a time ')).emits(goesOn('E_MODEL_LENGTH'))
    await story.when(reply('there was.')).emits(completed('Once upon a time there was.'))
  })

  it('fails after three more pieces that were cut off too', async () => {
    const endless = writer().when(cut('a'), cut('b'), cut('c'))
    await endless.emits(goesOn('E_MODEL_LENGTH'))
    expect((await endless.when(cut('d')).emitted())[0]!.data).toMatchObject({
      error: { code: 'E_MODEL_LENGTH', message: expect.stringContaining('4 times in a row') },
    })
  })

  it('is whole where the model has nothing to add', () =>
    writer().when(cut('All of it.'), reply('')).emits(completed('All of it.')))

  it('starts over after a call', () =>
    writer()
      .when(cut('I will look, and '), callTool('web.search', { q: 'a' }), result('web.search', ['a']), reply('Found.'))
      .emits(completed('Found.')))

  it('fails at once where the agent says so', () =>
    writer({ length: 'fail' }).when(cut('Half')).emits(failure('E_MODEL_LENGTH')))

  it('is accepted unchanged where the agent allows it', () =>
    writer({ length: 'accept' }).when(cut('Half')).emits(completed('Half')))

  it.each([
    ['reasoning took all the tokens', cut('')],
    [
      'the window of the model is full',
      reply('Half', { finish: 'length', rawFinish: 'model_context_window_exceeded' }),
    ],
  ])('fails at once where asking cannot help: %s', async (_, happening) =>
    expect((await writer().when(happening).emitted())[0]!.data).toMatchObject({ error: { code: 'E_MODEL_LENGTH' } }),
  )

  describe('of a declared shape', () => {
    const shape = z.object({ n: z.number() })

    it('is requested once more, shorter', async () => {
      const story = writer(undefined, shape).when(cut('{"n":'))
      const [noted] = await story.emits(goesOn('E_MODEL_LENGTH'))
      expect((noted!.data as { text: string }).text).toContain('shorter')
      await story.when(reply('{"n":1}')).emits(completed({ n: 1 }))
    })

    it('is accepted where it is complete', () =>
      writer(undefined, shape)
        .when(cut('{"n":1}'))
        .emits(completed({ n: 1 })))

    it('does not count as a misfit: those have a count of their own', () =>
      writer(undefined, shape)
        .when(cut('{'), reply('no'), cut('{'), reply('no'), reply('{"n":1}'))
        .emits(completed({ n: 1 })))
  })

  describe('within the arguments of a call', () => {
    const half = { toolCallId: 'c2', toolName: 'web_search', malformed: '{"q":"a', cut: true as const }

    it('tells the model so; the call is not made', async () => {
      const [failed, invoke] = await writer()
        .when(reply('', { finish: 'length', toolCalls: [half] }))
        .emitted()
      expect(failed).toMatchObject({
        type: 'tool.failed',
        data: { toolCallId: 'c2', error: { code: 'E_MODEL_LENGTH' } },
      })
      expect((failed!.data as { error: { message: string } }).error.message).toMatch(/cut off .* after 7 characters/)
      expect(invoke!.type).toBe('model.invoke')
    })

    it('makes the calls before it', () =>
      writer()
        .when(
          reply('', {
            finish: 'length',
            toolCalls: [{ toolCallId: 'c1', toolName: 'web_search', input: { q: 'a' } }, half],
          }),
        )
        .emits([
          { type: 'tool.invoke', target: 'web.search', data: { input: { q: 'a' } } },
          { type: 'tool.failed', data: { toolCallId: 'c2' } },
        ]))

    it('fails after it happened four times in a row', async () => {
      const again = reply('', { finish: 'length', toolCalls: [half] })
      expect((await writer().when(again, again, again, again).emitted())[0]!.data).toMatchObject({
        error: { code: 'E_MODEL_LENGTH' },
      })
    })
  })
})

describe('an empty answer', () => {
  it('is asked for again', async () => {
    const shy = writer().when(reply(' \n'))
    await shy.emits(goesOn('E_MODEL_EMPTY'))
    await shy.when(reply('Here.')).emits(completed('Here.'))
  })

  it('fails when it comes a fourth time', async () =>
    expect((await writer().when(reply(''), reply(''), reply(''), reply('')).emitted())[0]!.data).toMatchObject({
      error: { code: 'E_MODEL_EMPTY', message: expect.stringContaining('4 times in a row') },
    }))

  it('fails at once, or is accepted, as the agent declares', async () => {
    expect((await writer({ empty: 'fail' }).when(reply('')).emitted())[0]!.data).toMatchObject({
      error: { code: 'E_MODEL_EMPTY' },
    })
    await writer({ empty: 'accept' }).when(reply('')).emits(completed(''))
  })
})

describe('an answer that ended otherwise', () => {
  const filtered = reply('Half', { finish: 'content-filter', rawFinish: 'SAFETY' })
  const refused = reply('I will not.', { finish: 'content-filter', rawFinish: 'refusal' })
  const refusedByOpenAI = reply('I will not.', { finish: 'content-filter', rawFinish: 'stop' })
  const other = reply('Half', { finish: 'other', rawFinish: 'abort' })

  it.each([
    ['by a content filter', filtered, 'E_MODEL_FILTERED', 'SAFETY'],
    ['by a refusal', refused, 'E_MODEL_REFUSED', 'I will not.'],
    ['by a refusal that its provider calls a good end', refusedByOpenAI, 'E_MODEL_REFUSED', 'I will not.'],
    ['for another reason', other, 'E_MODEL_UNFINISHED', 'abort'],
  ])('%s fails the task, and says why', async (_, happening, code, why) => {
    const [fact] = await writer().when(happening).emits(failure(code))
    expect(JSON.stringify(fact!.data)).toContain(why)
  })

  it('is accepted where the agent allows it', async () => {
    await writer({ filtered: 'accept' }).when(filtered).emits(completed('Half'))
    await writer({ refused: 'accept' }).when(refused).emits(completed('I will not.'))
    await writer({ other: 'accept' }).when(other).emits(completed('Half'))
    await writer({ other: 'accept' }).when(cut('First '), other).emits(completed('First Half'))
  })

  it('continues where its provider only paused', async () => {
    const paused = writer().when(reply('Let me see.', { rawFinish: 'pause_turn' }))
    await paused.emits([{ type: 'model.invoke' }])
    await paused.when(reply('Found.')).emits(completed('Found.'))
  })
})
