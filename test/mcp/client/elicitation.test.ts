import { expect, test } from 'vitest'
import { embeddedWorld } from '../../lib/world.ts'
import { until } from '../../../src/testing/wait.ts'
import { callsOf } from './lib/calls.ts'
import { pinned, scratch } from './lib/pinned.ts'
import { listed, rawServer, textResult, type Answer } from './lib/raw-server.ts'

/* A server asks a person while one of its tools runs. */

const requestedSchema = { type: 'object', properties: { day: { type: 'string', enum: ['Friday', 'Monday'], default: 'Monday' }, note: { type: 'string' } }, required: ['note'] } // biome-ignore format: a schema
const ask = { method: 'elicitation/create', params: { mode: 'form', message: 'When?', requestedSchema } }

/** Asks in its first two rounds, and answers with what it was told. */
const answer: Answer = ({ params }) => {
  const { inputResponses = {}, requestState } = params as {
    inputResponses?: Record<string, unknown>
    requestState?: string
  }
  if (requestState === undefined)
    return { resultType: 'input_required', inputRequests: { when: ask }, requestState: 'one' }
  if (requestState === 'one')
    return { resultType: 'input_required', inputRequests: { again: ask }, requestState: JSON.stringify(inputResponses) }
  return textResult(`${requestState} ${JSON.stringify(inputResponses)}`)
}

test('the question is a request for approval, its answer goes back, and declining is an answer too', {
  timeout: 120_000,
}, async () => {
  const { url } = await rawServer({ era: '2026-07-28', tools: [listed('deliver')], answer })
  const folder = scratch()
  const shop = await pinned('shop', { url }, folder, { elicitation: true })
  const { worker, call } = await callsOf(await embeddedWorld(), { use: [shop] })
  const result = call('shop.deliver', {})
  const open = () => until(async () => (await worker.approvals())[0])
  const first = await open()
  expect(first).toMatchObject({
    name: 'shop.deliver',
    what: { server: 'shop', tool: 'deliver', question: 'When?' },
    form: requestedSchema,
  })
  await worker.approve(first.id, { by: 'ann', hash: first.hash, content: { note: 'Ring twice.' } })
  const second = await until(async () => (await worker.approvals()).find(({ id }) => id !== first.id))
  await worker.deny(second.id, { by: 'ann', hash: second.hash })
  expect(await result).toBe(
    `${JSON.stringify({ when: { action: 'accept', content: { day: 'Monday', note: 'Ring twice.' } } })} ${JSON.stringify({ again: { action: 'decline' } })}`,
  )
})

test('without the option nobody is asked, and a form that cannot be shown fails the call', {
  timeout: 120_000,
}, async () => {
  const nested = {
    ...ask,
    params: { ...ask.params, requestedSchema: { type: 'object', properties: { x: { type: 'object' } } } },
  }
  const { url } = await rawServer({
    era: '2026-07-28',
    tools: [listed('deliver'), listed('nested'), listed('sample')],
    answer: ({ params: { name } }) => ({
      resultType: 'input_required',
      inputRequests: {
        a: name === 'nested' ? nested : { ...ask, method: name === 'sample' ? 'sampling/createMessage' : ask.method },
      },
    }),
  })
  const silent = await pinned('silent', { url }, scratch())
  const asking = await pinned('asking', { url }, scratch(), { elicitation: true })
  const { failure } = await callsOf(await embeddedWorld(), { use: [silent, asking] })
  expect(await failure('silent.deliver', {})).toMatchObject({ code: 'E_MCP_INPUT' })
  expect(await failure('asking.nested', {})).toMatchObject({
    code: 'E_MCP_PROTOCOL',
    message: expect.stringContaining('"x" must be a text'),
  })
  expect(await failure('asking.sample', {})).toMatchObject({ code: 'E_MCP_INPUT' })
})
