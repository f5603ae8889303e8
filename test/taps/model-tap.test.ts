import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { generateText, stepCountIs, streamText, tool } from 'ai'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { serving } from '../lib/serving.ts'
import type { CloudEvent } from '../../src/event.ts'
import { ConversationChain } from '../../src/taps/model/conversation-chain.ts'
import { openaiChat } from '../../src/taps/model/openai-chat.ts'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { until } from '../../src/testing/wait.ts'
import type { TappedModelRequest } from '../../src/tasks/tapped-model.ts'
import { launch } from '../lib/cli.ts'
import { embeddedWorld, onAnyBus, type World } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { callsIn, modelTapped, post, type TappedCall } from './lib/model-tapped.ts'
import { recordedBy, recording } from './lib/tapped.ts'

/* Clients, a model tap in a server, and providers, over real HTTP. */

const upstreamOn = (handle: Parameters<typeof serving>[0]) => listening(createServer(serving(handle)))
const hello = { model: 'any-1', messages: [{ role: 'user', content: 'hello' }] }

onAnyBus(world => {
  test('the loop of a tool-calling program is one chain, streamed or not', async () => {
    const search = tool({ inputSchema: z.object({ q: z.string() }), execute: async () => 'open until six' })
    await using server = await openaiServer()
    const { url, calls } = await modelTapped(await world(), server.url, {
      prices: { 'any*': { input: 2, output: 10 } },
    })
    const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-proj-0123456789abcdefghijklmnop' })
    for (const run of [
      generateText,
      async (options: Parameters<typeof streamText>[0]) => void (await streamText(options).text),
    ] as const) {
      server.script(
        { toolCalls: [{ name: 'search', arguments: { q: 'hours' } }], usage: { prompt: 50, completion: 9 } },
        { text: 'It is open until six.', usage: { prompt: 70, completion: 6, cached: 40 } },
      ) // biome-ignore format: one reply a line
      const prompt = `When is it open? (${run === generateText ? 'whole' : 'streamed'})`
      await run({
        model: provider.chat('any-1'),
        instructions: 'You help.',
        prompt,
        tools: { search },
        stopWhen: stepCountIs(3),
      })
    }
    const recorded = await calls(4)
    expect(recorded).toHaveLength(4)
    for (const [first, second] of [recorded.slice(0, 2), recorded.slice(2)] as [TappedCall, TappedCall][]) {
      expect(second.request).toMatchObject({
        correlationid: first.request.correlationid,
        causationid: first.answer.id,
        target: 'tap:test',
        subject: 'any-1',
        data: {
          api: 'openai.chat', model: 'any-1', prev: first.request.id, total: 3, instructions: 'You help.', tools: ['search'],
          prompt: [{ role: 'tool', results: [{ output: 'open until six' }] }],
          http: { path: '/v1/chat/completions', body: { json: { messages: { length: 4 } } } },
        },
      }) // biome-ignore format: one object
      expect(second.answer).toMatchObject({
        type: 'model.result',
        data: {
          text: 'It is open until six.',
          finish: 'stop',
          cost: 0.0002,
          usage: { input: 70, output: 6, cached: 40 },
        },
      })
    }
    expect(new Set(recorded.map(({ request }) => request.correlationid)).size).toBe(2)
    expect(JSON.stringify(recorded)).not.toMatch(/sk-proj|authorization/i)
  })
})

test('a chain goes on after a restart, and in another process of the tap', async () => {
  const world = await embeddedWorld()
  await using server = await openaiServer({ text: 'Hi.' }, { text: 'Six.' }, { text: 'Hi.' }, { text: 'Seven.' })
  const taps = [await modelTapped(world, server.url), await modelTapped(world, server.url)] as const
  const ask = async (at: string, instructions: string, ...turns: string[]) => {
    const messages = turns.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }))
    await (
      await post(`${at}/v1/chat/completions`, {
        model: 'm',
        messages: [{ role: 'system', content: instructions }, ...messages],
      })
    ).text()
  }
  const isKnown = (instructions: string) => {
    const messages = ['hello', 'Hi.', 'when?'].map((content, i) => ({ role: i === 1 ? 'assistant' : 'user', content }))
    const asked = openaiChat.asked({ messages: [{ role: 'system', content: instructions }, ...messages] })
    const find = () => new ConversationChain().find(taps[0].bus, asked, { tenant: 'default' })
    return until(async () => (await find())?.correlationid)
  }
  await ask(taps[0].url, 'A', 'hello')
  const correlation = await isKnown('A')
  await ask(taps[1].url, 'A', 'hello', ' Hi. ', 'when?')
  // Other instructions and the same words are another conversation.
  await ask(taps[1].url, 'B', 'hello')
  await until(async () => (await isKnown('B')) !== correlation)
  await ask(taps[0].url, 'B', 'hello', 'Hi.', 'when?')
  const [first, second, third, fourth] = await taps[0].calls(4)
  expect(second!.request).toMatchObject({ correlationid: first!.request.correlationid, causationid: first!.answer.id })
  expect(third!.request.correlationid).not.toBe(first!.request.correlationid)
  expect(fourth!.request.correlationid).toBe(third!.request.correlationid)
})

test('a header, then a trace context, says to what a call belongs', async () => {
  await using server = await openaiServer({ text: '1' }, { text: '2' }, { text: '3' })
  const { url, calls } = await modelTapped(await embeddedWorld(), server.url, { tenant: 'acme' })
  const correlation = '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000'
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await post(
    `${url}/v1/chat/completions`,
    { ...hello, user: 'ann' },
    { 'x-tidings-correlation': correlation, traceparent },
  )
  await post(`${url}/v1/chat/completions`, hello, { traceparent })
  await post(`${url}/v1/chat/completions`, { ...hello, user: 'no\nname' }, { traceparent })
  const recorded = (await calls(3)).map(({ request: { correlationid, tenant, user } }) => ({
    correlationid,
    tenant,
    user,
  }))
  expect(recorded[0]).toEqual({ correlationid: correlation, tenant: 'acme', user: 'ann' })
  expect(recorded[1]!.correlationid).toBe(recorded[2]!.correlationid)
  expect(recorded[1]!.correlationid).not.toBe(correlation)
})

test('the messages API of Anthropic, through its own SDK shape', async () => {
  const block = { type: 'text', text: 'Six.' }
  const upstream = await upstreamOn(async (incoming, outgoing) => {
    await buffer(incoming)
    const usage = { input_tokens: 5, output_tokens: 2 }
    outgoing.setHeader('content-type', 'application/json')
    outgoing.end(JSON.stringify({ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-x', content: [block], stop_reason: 'end_turn', usage }))
  }) // biome-ignore format: one line an object
  const { url, calls } = await modelTapped(await embeddedWorld(), upstream)
  const { text: said } = await generateText({
    model: createAnthropic({ baseURL: `${url}/v1`, apiKey: 'sk-ant-x' })('claude-x'),
    prompt: 'When?',
  })
  expect(said).toBe('Six.')
  const [only] = await calls(1)
  expect(only).toMatchObject({
    request: { subject: 'claude-x', data: { api: 'anthropic.messages' } },
    answer: { data: { text: 'Six.' } },
  })
  expect(JSON.stringify(only)).not.toContain('sk-ant')
})

/** Odd answers of providers: each must come back as it is, and be recorded. */
const odd: readonly { what: string; head?: [number, Record<string, string>]; chunks: readonly (string | Buffer)[]; ends: string }[] = [
  { what: 'an error in JSON', head: [429, { 'content-type': 'application/json', 'retry-after': '7' }], chunks: ['{"error":{"message":"slow down","code":"rate"}}'], ends: '429: slow down' },
  { what: 'an error that is not JSON', head: [503, { 'content-type': 'text/html' }], chunks: ['<h1>Service Unavailable'], ends: '503: <h1>' },
  { what: 'an error without a body', head: [500, {}], chunks: [], ends: '500: Internal Server Error' },
  { what: 'malformed JSON', chunks: ['{"choices": [{"mess'], ends: 'result' },
  { what: 'a list', chunks: ['[1,2]'], ends: 'result' },
  { what: 'nothing', chunks: [], ends: 'result' },
  { what: 'malformed chunks in a stream', head: [200, { 'content-type': 'text/event-stream' }], chunks: ['data: {"cho', 'ices"\n\ndata: \xff\n\n', 'data: [DONE]\n\n'], ends: 'result' },
  { what: 'a stream without an end', head: [200, { 'content-type': 'text/event-stream' }], chunks: ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n'], ends: 'before the answer was complete' },
  { what: 'broken compression', head: [200, { 'content-encoding': 'gzip' }], chunks: [Buffer.from('not gzip')], ends: 'result' },
  { what: 'an unknown encoding', head: [200, { 'content-encoding': 'secret-7' }], chunks: ['x'], ends: 'result' },
  { what: 'compressed JSON', head: [200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }], chunks: [gzipSync('{"choices":[{"message":{"content":"packed"},"finish_reason":"stop"}]}')], ends: 'packed' },
  { what: '20 MB', head: [200, { 'content-type': 'application/json' }], chunks: Array.from({ length: 20 }, () => Buffer.alloc(1_000_000, 'x')), ends: 'result' },
  { what: 'a redirect', head: [307, { location: 'http://169.254.169.254/latest' }], chunks: [], ends: '307' },
] // biome-ignore format: one answer a line

test('whatever a provider answers comes back byte for byte, and is recorded', async () => {
  const upstream = await upstreamOn(async (incoming, outgoing) => {
    const { n } = JSON.parse((await buffer(incoming)).toString()) as { n: number }
    const { head = [200, {}], chunks } = odd[n]!
    outgoing.sendDate = false
    outgoing.writeHead(...head)
    for (const chunk of chunks) outgoing.write(chunk, 'latin1')
    outgoing.end()
  })
  const { url, recorded } = await modelTapped(await embeddedWorld(), upstream)
  const exchange = async (at: string, n: number) => {
    const request = httpRequest(`${at}/v1/chat/completions`, { method: 'POST', agent: false })
    request.end(JSON.stringify({ n, model: `odd-${n}`, messages: [] }))
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const { statusCode, statusMessage, rawHeaders } = response
    return { statusCode, statusMessage, rawHeaders, body: (await buffer(response)).toString('base64') }
  }
  for (const n of odd.keys()) expect(await exchange(url, n)).toEqual(await exchange(upstream, n))
  const events = callsIn(await recorded(/^model\./, 2 * odd.length))
  for (const [n, { what, ends }] of odd.entries()) {
    const { answer } = events.find(({ request }) => request.subject === `odd-${n}`)!
    const { error, text: said } = answer.data
    expect(`${what}: ${answer.type} ${error?.message ?? ''} ${said ?? ''}`).toContain(ends)
  }
}, 120_000)

test('requests of any kind reach the provider as they are', async () => {
  const seen: { path: string; body: Buffer }[] = []
  const upstream = await upstreamOn(async (incoming, outgoing) => {
    seen.push({ path: incoming.url!, body: await buffer(incoming) })
    outgoing.end('{}')
  })
  const { url, recorded, recorder } = await modelTapped(await embeddedWorld(), upstream)
  const large = JSON.stringify({ ...hello, messages: [{ role: 'user', content: 'y'.repeat(20_000_000) }] })
  const nested = `{"model":"deep","messages":${'['.repeat(100)}${']'.repeat(100)}}`
  const bodies = [
    large,
    nested,
    'no JSON',
    '\u00e9'.repeat(10),
    '{"model":7,"messages":{"role":[]},"__proto__":{"a":1}}',
  ]
  for (const body of bodies) await (await post(`${url}/v1/chat/completions?x=1`, body)).text()
  await (await fetch(`${url}/v1/models`)).text()
  await (await post(`${url}/v1/files`, 'x')).text()
  expect(seen.map(({ body }) => body.toString())).toEqual([...bodies, '', 'x'])
  expect(seen.map(({ path }) => path)).toContain('/v1/models')
  const requests = (await recorded(/^model\.invoke$/, bodies.length)) as CloudEvent<TappedModelRequest>[]
  expect(requests).toHaveLength(bodies.length)
  expect(requests[0]!.data.http.body).toMatchObject({ bytes: large.length, sha256: expect.any(String), isCut: true })
  expect(requests[1]!.subject).toBe('deep')
  expect(recorder.status).toMatchObject({ calls: bodies.length, unrecorded: 0 })
}, 120_000)

test('a client that goes away, and an upstream that does, end the call on both sides', async () => {
  const closed = Promise.withResolvers<void>()
  const upstream = await upstreamOn((incoming, outgoing) => {
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
    outgoing.write('data: {"choices":[{"delta":{"content":"so far"}}]}\n\n')
    if (incoming.headers['x-cut']) setImmediate(() => outgoing.socket!.destroy())
    else outgoing.on('close', closed.resolve)
  })
  const { url, calls } = await modelTapped(await embeddedWorld(), upstream)
  const abort = new AbortController()
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify(hello),
    signal: abort.signal,
  })
  await response.body!.getReader().read()
  abort.abort()
  await closed.promise
  await expect(
    (await post(`${url}/v1/chat/completions`, { ...hello, model: 'cut' }, { 'x-cut': '1' })).text(),
  ).rejects.toThrow()
  const [aborted, cut] = await calls(2)
  expect(aborted!.answer).toMatchObject({
    type: 'model.failed',
    data: { error: { code: 'E_TAP_CANCELLED' }, partial: { text: 'so far' } },
  })
  expect(cut!.answer).toMatchObject({
    type: 'model.failed',
    data: { error: { code: 'E_TAP_UPSTREAM' }, partial: { text: 'so far' } },
  })
})

test('a repeated request follows the one that failed', async () => {
  await using server = await openaiServer({ status: 500 }, { text: 'Hi.' })
  const { url, calls } = await modelTapped(await embeddedWorld(), server.url)
  for (const _ of [1, 2]) await (await post(`${url}/v1/chat/completions`, hello)).text()
  const [failed, repeated] = await calls(2)
  const { correlationid, id } = failed!.request
  expect(repeated!.request).toMatchObject({
    correlationid,
    retryof: id,
    causationid: failed!.answer.id,
    data: { prev: null, total: 1 },
  })
})

test('an upstream that cannot be reached is an error in the form of the provider', async () => {
  const server = createServer()
  const upstream = await listening(server)
  server.close()
  const { url, calls } = await modelTapped(await embeddedWorld(), upstream)
  const response = await post(`${url}/v1/chat/completions`, hello)
  const anthropic = await post(`${url}/v1/messages`, hello)
  expect([response.status, await response.json()]).toMatchObject([
    502,
    { error: { type: 'server_error', code: 'E_TAP_UPSTREAM' } },
  ])
  expect([anthropic.status, await anthropic.json()]).toMatchObject([
    502,
    { type: 'error', error: { type: 'api_error' } },
  ])
  expect((await calls(2)).map(({ answer }) => answer.data.error.code)).toEqual(['E_TAP_UPSTREAM', 'E_TAP_UPSTREAM'])
})

test('a budget raises an alarm, and is enforced if asked to', async () => {
  await using server = await openaiServer(
    ...Array.from({ length: 6 }, () => ({ text: 'a', usage: { prompt: 60, completion: 1 } })),
  )
  const world = await embeddedWorld()
  const headers = { 'x-tidings-correlation': '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000' }
  const alarms: string[] = []
  const lax = await modelTapped(world, server.url, { budget: { tokens: 100 }, onAlarm: text => void alarms.push(text) })
  for (const _ of [1, 2, 3]) expect((await post(`${lax.url}/v1/chat/completions`, hello, headers)).status).toBe(200)
  const [alarm] = await lax.recorded(/^tap\.budget\.exceeded$/, 1)
  expect(alarm).toMatchObject({
    correlationid: headers['x-tidings-correlation'],
    data: { kind: 'tokens', spent: 122, budget: 100 },
  })
  expect(alarms).toHaveLength(1)
  await until(() => lax.recorder.status.waiting === 0)
  // Another process knows it from the log.
  const strict = await modelTapped(world, server.url, { budget: { tokens: 100, enforce: true } })
  const refused = await post(`${strict.url}/v1/chat/completions`, hello, headers)
  expect([refused.status, await refused.json()]).toMatchObject([429, { error: { code: 'E_BUDGET_EXCEEDED' } }])
  expect(server.requests).toHaveLength(3)
  expect((await post(`${strict.url}/v1/chat/completions`, hello)).status).toBe(200)
  const ends = await strict.recorded(/^model\.failed$/, 1)
  expect(ends[0]).toMatchObject({ data: { error: { code: 'E_BUDGET_EXCEEDED' } } })
})

test('a tap is no open proxy', async () => {
  const upstream = await upstreamOn((_, outgoing) => void outgoing.end('forwarded'))
  const { proxy } = await modelTapped(await embeddedWorld(), `${upstream}/v1`)
  const send = async (head: string) => {
    const socket = connect(proxy.port, '127.0.0.1')
    socket.write(`${head}\r\nConnection: close\r\n\r\n`)
    return text(socket)
  }
  expect(await send('GET /v1/x HTTP/1.1\r\nHost: localhost')).toContain('forwarded')
  const refused = ['GET http://evil.example/v1/x HTTP/1.1\r\nHost: localhost', 'GET /admin HTTP/1.1\r\nHost: localhost', 'GET /v1/../admin HTTP/1.1\r\nHost: localhost', 'GET /v1/x HTTP/1.1\r\nHost: rebound.example'] // biome-ignore format: one list
  for (const head of refused) expect(await send(head)).toMatch(/^HTTP\/1.1 40[03] .*E_REQUEST_INVALID/s)
})

test('the command says what to set, and after kill -9 its open calls are ended by the next one', async () => {
  const { place } = await embeddedWorld()
  let isHanging = true
  const upstream = await upstreamOn((_, outgoing) => {
    if (!isHanging) outgoing.end('{"choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}]}')
  })
  const start = async () => {
    const child = launch(place, ['tap', 'openai', '--upstream', `${upstream}/v1`, '--port', '0'])
    onTestFinished(() => void child.kill('SIGKILL'))
    const [printed] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
    return { child, url: /^export OPENAI_BASE_URL=(http:\/\/127\.0\.0\.1:\d+\/v1)\n/.exec(printed)![1]! }
  }
  const first = await start()
  const hanging = post(`${first.url}/chat/completions`, hello).catch(() => 'broken')
  await until(
    async () =>
      ((await (await fetch(new URL('/.tidings/status', first.url))).json()) as { calls: number; waiting: number })
        .calls === 1,
  )
  const { bus } = await recording({ place } as World)
  const onLog = (types: RegExp, count: number) => recordedBy(bus, '/taps/openai', types, count)
  await onLog(/^model\.invoke$/, 1)
  first.child.kill('SIGKILL')
  expect(await hanging).toBe('broken')
  isHanging = false
  const second = await start()
  expect((await post(`${second.url}/chat/completions`, hello)).status).toBe(200)
  const ends = await onLog(/^model\.(result|failed)$/, 2)
  expect(ends.map(({ data }) => (data as TappedCall['answer']['data']).error?.code ?? 'none').toSorted()).toEqual([
    'E_TAP_INTERRUPTED',
    'none',
  ])
  second.child.kill('SIGTERM')
  await once(second.child, 'close')
}, 120_000)
