import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  agent,
  app,
  files,
  model,
  type Model,
  kafka,
  kafkaSink,
  mqtt,
  offlineModel,
  schedule,
  smtp,
  tool,
  webhook,
  workflow,
} from '../src/index.ts'

/* Definitions are checked when the app is loaded: what is wrong is named, with its place. */

const languageModel = offlineModel()
const run = () => 1
const input = z.object({ q: z.string() })
const base = { description: 'A tool', input, run }
const search = tool('notes.search', base)
const helper = { model: languageModel, instructions: 'Help.' }

const wrong: [string, () => unknown, string | RegExp][] = [
  ['an unknown option', () => agent('helper', { ...helper, tool: [search] } as never), 'agent "helper" (test/definitions.test.ts:'],
  ['what was meant', () => agent('helper', { ...helper, tool: [search] } as never), 'no option "tool"; did you mean "tools"?'],
  ['no form', () => agent('desk', { on: 'a.b' } as never), 'the option "run" is missing'],
  ['a misspelt form', () => agent('desk', { on: 'a.b', rum() {} } as never), 'there is no option "rum"; did you mean "run"?'],
  ['a missing option', () => agent('helper', { model: languageModel } as never), 'the option "instructions" is missing'],
  ['a tool that is none', () => agent('helper', { ...helper, tools: [search, {}] } as never), 'its entry 1 is something else'],
  ['a wrong type', () => agent('helper', { ...helper, maxSteps: '5' } as never), 'the option "maxSteps" must be a whole number from 1, not "5"'],
  ['an event type', () => agent('helper', { run, on: 7 } as never), /^agent "helper" \(test\/definitions.*\): the option "on" must be types of events or patterns such as "order\.\*", not 7$/],
  ['a type in a list', () => agent('helper', { run, on: ['job.made', 'Job Made'] }), 'not "Job Made"'],
  ['a model that is none', () => agent('helper', { ...helper, model: 'gpt-5' } as never), 'agent "helper" (test/definitions.test.ts:'],
  ['a bound', () => agent('helper', { ...helper, within: '10 minutes' } as never), '"within" must be a duration such as "30s", "10m" or "2d", or "forever"'],
  ['a value of finish', () => agent('helper', { ...helper, finish: { length: 'retry' } } as never), 'the option "length" must be "continue" or "fail" or "accept", not "retry"'],
  ['a key of finish', () => agent('helper', { ...helper, finish: { lenght: 'fail' } } as never), 'in the option "finish", there is no option "lenght"; did you mean "length"?'],
  ['an option of a script', () => agent('helper', { run, maxturns: 1 } as never), 'did you mean "maxTurns"?'],
  ['a timeout of a tool', () => tool('a', { ...base, timeout: '5min' } as never), '"timeout" must be a duration such as "30s", "10m" or "2d", not "5min"'],
  ['a rate of a tool', () => tool('a', { ...base, rate: { count: 1, pr: '1s' } } as never), 'in the option "rate", there is no option "pr"'],
  ['a schema that is none', () => tool('a', { ...base, input: { q: 'string' } } as never), 'must be a Standard Schema'],
  ['a date in an input', () => tool('a', { ...base, input: z.object({ lines: z.array(z.object({ when: z.date() })) }) }), /^tool "a" \(test\/definitions\.test\.ts:\d+:\d+\): input lines\[\]\.when: z\.date\(\)/],
  ['a form that JSON Schema lacks', () => agent('helper', { ...helper, tools: [tool('a', { ...base, input: z.object({ b: z.object({ when: z.coerce.date() }) }) })] }), /tool "a" of agent "helper" \(test\/definitions.*\): b\.when: it has no JSON Schema form/],
  ['an output without form', () => agent('helper', { ...helper, output: z.object({ items: z.array(z.bigint()) }) }), /the output of agent "helper" .*: items\[\]: it has no JSON Schema form/],
  ['one name for two tools', () => agent('helper', { ...helper, tools: [search, tool('notes_search', base)] }), 'the tools "notes.search" and "notes_search" are both "notes_search" for a model'],
  ['a limit of a model', () => model(languageModel, { limits: 1 } as never), 'there is no option "limits"; did you mean "limit"?'],
  ['a retention', () => app({ use: [], retention: '7 days' as never }), 'app() (test/definitions.test.ts:'],
  ['a budget', () => app({ use: [], budget: { call: 5 } as never }), 'did you mean "calls"?'],
  ['a workflow', () => workflow('w', { witin: '1h' } as never), 'workflow "w" (test/definitions.test.ts:'],
  ['a step', () => workflow('w', { within: '1h' }).call('find', search, () => ({ q: 'x' }), { withn: '1m' } as never), 'workflow "w", step "find"'],
  ['a schedule', () => schedule('s', { evry: '1m' } as never), 'did you mean "every"?'],
  ['files', () => files('f', { foldr: '.' } as never), 'did you mean "folder"?'],
  ['a webhook', () => webhook({ endpoints: { a: { secrt: 'x' } } } as never), 'did you mean "secret"?'],
  ['a mailbox', () => smtp({ recipient: ['a@b.c'] } as never), 'did you mean "recipients"?'],
  ['topics to read', () => kafka({ groop: 'x', topics: {} } as never), 'did you mean "group"?'],
  ['topics to write', () => kafkaSink({ topics: { t: { kind: 'x' } } } as never), 'there is no option "kind"'],
  ['a broker', () => mqtt({ clientID: 'x', topics: {} } as never), 'did you mean "clientId"?'],
] // biome-ignore format: one table

describe('is refused with its name and place:', () => {
  test.each(wrong)('%s', (_, define, said) => {
    expect(define).toThrow(
      expect.objectContaining({
        code: 'E_APP_INVALID',
        message: typeof said === 'string' ? expect.stringContaining(said) : expect.stringMatching(said),
      }),
    )
  })
})

test('two models of an app share a name only if either may answer', () => {
  const provider = (baseURL: string) => createOpenAICompatible({ baseURL, name: 'local' })('qwen3')
  const asking = (name: string, by: Parameters<typeof model>[0] | Model) => agent(name, { ...helper, model: by })
  const used = (...models: Parameters<typeof asking>[1][]) =>
    app({ use: models.map((by, i) => asking(`helper-${i}`, by)) }).models.map(({ options }) => options.limit)
  const [here, again, there] = [provider('http://a/v1'), provider('http://a/v1'), provider('http://b/v1')]
  expect(used(here, here, again)).toEqual([undefined])
  expect(used(offlineModel(), offlineModel())).toEqual([undefined])
  expect(used(here, model(again, { limit: 2 }), again)).toEqual([2])
  expect(used(here, model(there, { name: 'there' }))).toEqual([undefined, undefined])
  const taken = (problem: string) =>
    expect.objectContaining({ code: 'E_APP_NAME_TAKEN', message: expect.stringContaining(problem) })
  expect(() => used(here, there)).toThrow(taken('the model "local.chat/qwen3" are two models'))
  expect(() => used(model(here, { limit: 1 }), model(here, { limit: 2 }))).toThrow(taken('have different options'))
})

test('accepts a date that is parsed from text, an alternative to a date, and undefined options', () => {
  tool('a', {
    ...base,
    input: z.object({ when: z.coerce.date(), or: z.union([z.string(), z.date()]).optional() }),
    run,
  })
  tool('b', { ...base, input: z.object({ when: z.date().optional() }), timeout: undefined as never })
  agent('helper', { ...helper, tools: [search], finish: { length: 'fail' } })
})
