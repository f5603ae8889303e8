import { expect, onTestFinished, test } from 'vitest'
import { createClient, type ClientOptions } from '../../src/client/index.ts'
import { collect } from '../../src/testing/wait.ts'

/* What the client makes of the answers of gateways, proxies and networks that misbehave. */

interface Sent {
  readonly path: string
  readonly headers: Record<string, string>
}

/** A client whose requests get these answers, in this order. */
function answered(answers: readonly (Response | Error)[], options: Partial<ClientOptions> = {}) {
  const sent: Sent[] = []
  const next = answers.values()
  const client = createClient({
    url: 'http://shop.example/',
    fetch: async (url, { headers }) => {
      sent.push({ path: new URL(url).pathname, headers: headers as Record<string, string> })
      const { value } = next.next()
      if (value instanceof Response) return value
      throw value ?? new Error('one request too many')
    },
    ...options,
  })
  onTestFinished(() => client.close())
  return { client, sent }
}

const stream = (...chunks: readonly string[]) =>
  new Response(ReadableStream.from(chunks).pipeThrough(new TextEncoderStream()), { status: 200 })
const refused = (status: number, error?: object, headers: Record<string, string> = {}) =>
  error ? Response.json({ error }, { status, headers }) : new Response('<h1>Bad gateway</h1>', { status, headers })
const event = (n: number) => `id: ${n}\ndata: {"type":"count.made","data":${n}}\n\n`

/** The numbers of a stream, and the error that ended it. */
async function numbersOf(client: ReturnType<typeof createClient>) {
  const numbers: unknown[] = []
  try {
    for await (const { event: each } of client.stream({ type: 'count.made' })) numbers.push(each.data)
  } catch (error) {
    return { numbers, error }
  }
  return { numbers }
}

test('a stream continues after its last event, however the connection ends', async () => {
  const { client, sent } = answered([
    stream('retry: 1000\nid: 7\n\n', ': heartbeat\n\n', event(8).slice(0, 20)),
    new TypeError('network'),
    stream(
      'event: count.made\r\nid: 8\r\ndata: {"type":"count.made",\r\n',
      'data: "data":8}\r\n\r\n',
      ': x\nid: 9\n\n',
    ),
    refused(502),
    stream('event: closed\ndata: {"reason":"the gateway stops"}\n\n'),
    stream(event(10), 'event: signal\ndata: {"type":"tool.progress","data":"s"}\n\n'),
    stream('event: error\ndata: {"error":{"code":"E_CURSOR_EXPIRED","message":"gone","data":{"horizon":"99"}}}\n\n'),
  ])
  const { numbers, error } = await numbersOf(client)
  expect(numbers).toEqual([8, 10, 's'])
  expect(error).toMatchObject({ name: 'ClientError', code: 'E_CURSOR_EXPIRED', data: { horizon: '99' } })
  expect(sent.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '7', '7', '9', '9', '9', '10'])
})

test('a request is repeated with a token of its own while nobody answers, and a refusal is not', async () => {
  const tokens = ['one', 'two', 'three']
  const token = () => tokens.shift()!
  const busy = refused(429, { code: 'E_RATE_LIMITED', message: 'later' }, { 'retry-after': new Date().toUTCString() })
  const no = refused(403, { code: 'E_FORBIDDEN', message: 'no', next: 'Ask.' })
  const { client, sent } = answered([new TypeError('network'), busy, no], { token })
  await expect(client.ask('helper', 1)).rejects.toMatchObject({ code: 'E_FORBIDDEN', status: 403, next: 'Ask.' })
  expect(sent.map(({ headers }) => headers.authorization)).toEqual(['Bearer one', 'Bearer two', 'Bearer three'])
  expect(new Set(sent.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
})

test('a stream whose credential expired goes on with the next one', async () => {
  const tokens = ['old', 'new']
  const { client, sent } = answered(
    [
      stream(event(1), 'event: error\ndata: {"error":{"code":"E_CREDENTIAL_UNKNOWN","message":"expired"}}\n\n'),
      stream(event(2), 'event: error\ndata: {"error":{"code":"E_FORBIDDEN","message":"no"}}\n\n'),
    ],
    { token: () => tokens.shift()! },
  )
  expect(await numbersOf(client)).toMatchObject({ numbers: [1, 2], error: { code: 'E_FORBIDDEN' } })
  expect(sent.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new'])
})

test('an answer that is not of a gateway is an error that names the address', async () => {
  const { client } = answered([refused(404)])
  await expect(client.ask('helper', 1)).rejects.toMatchObject({ code: 'E_REQUEST_INVALID', status: 404 })
})

test('waiting ends with its signal', async () => {
  const down = Array.from({ length: 100 }, () => new TypeError('network'))
  const { client } = answered(down)
  const signal = AbortSignal.timeout(50)
  await expect(client.task('t').result({ signal })).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(await collect(client.task('t').stream({ signal }))).toEqual([])
  await expect(client.ask('helper', 1, { signal })).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('a task that a gateway does not wait for is asked for again, in pauses', async () => {
  const running = () => Response.json({ status: 'running' }, { status: 202 })
  const { client } = answered([running(), running(), Response.json({ status: 'completed', output: 42 })])
  const begin = performance.now()
  expect(await client.task('t').result()).toBe(42)
  expect(performance.now() - begin).toBeGreaterThan(240)
})

test('one event that is refused holds up no batch after it, and other things in the storage stay', async () => {
  const no = () => refused(400, { code: 'E_EVENT_INVALID', message: 'no' })
  const taken = (...ids: string[]) => Response.json({ correlationid: 'c', ids }, { status: 202 })
  const entries = new Map([['tidings:theme', 'dark']])
  const storage = {
    get length() {
      return entries.size
    },
    key: (index: number) => [...entries.keys()][index] ?? null,
    getItem: (key: string) => entries.get(key) ?? null,
    setItem: (key: string, value: string) => void entries.set(key, value),
    removeItem: (key: string) => void entries.delete(key),
  }
  const { client, sent } = answered([no(), no(), taken('2', '3')], { storage })
  const published = ['1', '2', '3'].map(id => client.publish('count.made', null, { id }).catch(error => error.code))
  expect(await Promise.all(published)).toEqual([
    'E_EVENT_INVALID',
    ...['2', '3'].map(id => ({ id, correlationid: 'c' })),
  ])
  expect(sent).toHaveLength(3)
  expect([...entries]).toEqual([['tidings:theme', 'dark']])
})
