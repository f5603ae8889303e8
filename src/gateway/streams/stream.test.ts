import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Bus } from '../../bus/bus.ts'
import { turnId, taskId } from '../../bus/ids.ts'
import { setLogger } from '../../bus/telemetry/log.ts'
import { openSqlite } from '../../drivers/sqlite/index.ts'
import type { CloudEvent } from '../../event.ts'
import { until } from '../../testing/wait.ts'
import { startGateway, type GatewayOptions } from '../gateway.ts'

interface Message {
  id?: string
  event?: string
  data?: CloudEvent<{ n: number }>
}

interface Ending {
  reason?: string
  error?: { code: string; data?: { horizon: string } }
}

/** What a browser's EventSource does, as far as it matters here. */
class Listener {
  readonly messages: Message[] = []
  comments = 0
  lastId: string | undefined
  ending: Ending | undefined
  ended = false
  readonly status: number
  readonly #abort: AbortController

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status
    this.#abort = abort
    void this.#read(response)
  }

  static async open(url: string, query = '', lastEventId?: string): Promise<Listener> {
    const abort = new AbortController()
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const response = await fetch(`${url}/events/stream${query}`, { headers, signal: abort.signal })
    onTestFinished(() => abort.abort())
    return new Listener(response, abort)
  }

  get types() {
    return this.messages.map(({ event }) => event)
  }

  get numbers() {
    return this.messages.map(({ data }) => data?.data.n)
  }

  leave() {
    this.#abort.abort()
  }

  async #read(response: Response): Promise<void> {
    let rest = ''
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) this.#take(block)
      }
    } catch {
      // Cut off.
    }
    this.ended = true
  }

  #take(block: string) {
    if (block.startsWith(':')) this.comments++
    const fields = Object.fromEntries(
      block.split('\n').map(line => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
    )
    if (fields.id) this.lastId = fields.id
    if (fields.event === 'closed' || fields.event === 'error') this.ending = JSON.parse(fields.data!) as Ending
    else if (fields.data) this.messages.push({ ...fields, data: JSON.parse(fields.data) as CloudEvent<{ n: number }> })
  }
}

async function openGateway(options: Partial<GatewayOptions> = {}) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-stream-'))
  const bus = new Bus(await openSqlite({ home }))
  let gateway = await startGateway({ bus, port: 0, ...options })
  const { url } = gateway
  onTestFinished(async () => {
    await gateway.stop()
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  return {
    bus,
    url,
    stop: () => gateway.stop(),
    start: async () => {
      gateway = await startGateway({ bus, ...options, port: Number(new URL(url).port) })
    },
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const numbered = (from: number, to: number, more: { type?: string; correlationid?: string } = {}) =>
  upTo(to)
    .slice(from)
    .map(n => ({ type: 'count.made', data: { n }, ...more }))

test('a stream without a cursor is live from now', async () => {
  const { bus, url } = await openGateway()
  await bus.publishAll(numbered(0, 5))
  const listener = await Listener.open(url)
  await bus.publishAll(numbered(5, 8))
  await until(() => listener.messages.length === 3)
  expect(listener.numbers).toEqual([5, 6, 7])
  const [first] = listener.messages
  expect(first).toMatchObject({ event: 'count.made', data: { type: 'count.made', data: { n: 5 }, specversion: '1.0' } })
  expect(Number(first!.id)).toBe((await bus.driver.get(first!.data!.id, first!.data!.correlationid))!.position.offset)
})

test('a client that publishes and then opens the stream of the correlation gets all of it and nothing else', async () => {
  const { bus, url } = await openGateway()
  const response = await fetch(`${url}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(numbered(0, 3)),
  })
  const { correlationid } = (await response.json()) as { correlationid: string }
  await bus.publishAll([...numbered(50, 60), ...numbered(3, 5, { correlationid })])
  const listener = await Listener.open(url, `?correlation=${correlationid}`)
  await bus.publishAll([...numbered(50, 60), ...numbered(5, 7, { correlationid })])
  await until(() => listener.messages.length === 7)
  expect(listener.numbers).toEqual(upTo(7))
})

test('types are filtered by name and by pattern, before and after the client has caught up', async () => {
  const { bus, url } = await openGateway()
  const some = () => ['a.one', 'a.two', 'b.one', 'c.x.y'].map(type => ({ type, data: null }))
  await bus.publishAll(some())
  const listener = await Listener.open(url, '?after=0&type=a.*&type=b.one')
  await until(() => listener.messages.length === 3)
  await bus.publishAll(some())
  await until(() => listener.messages.length === 6)
  expect(listener.types).toEqual(['a.one', 'a.two', 'b.one', 'a.one', 'a.two', 'b.one'])
})

test('turns are sent only to clients that ask for them by name', async () => {
  const { bus, url } = await openGateway()
  const [all, everything, turns] = await Promise.all(
    ['', '?type=>', '?type=task.>'].map(query => Listener.open(url, query)),
  )
  const correlationid = crypto.randomUUID()
  const id = turnId(taskId(correlationid, 'p', 'e'), 1)
  await bus.publishAll([{ type: 'task.turn', id, correlationid, data: { n: 1 } }, ...numbered(2, 3)])
  await until(() => all!.messages.length === 1 && everything!.messages.length === 1 && turns!.messages.length === 1)
  expect([all!.numbers, everything!.numbers, turns!.numbers]).toEqual([[2], [2], [1]])
})

test('a client that comes back gets what it missed, once and in order, across a restart of the gateway', async () => {
  const { bus, url, stop, start } = await openGateway()
  const seen: (number | undefined)[] = []
  let lastId = '0'
  const total = 600
  const publishing = (async () => {
    for (let n = 0; n < total; n += 5) await bus.publishAll(numbered(n, n + 5))
  })()
  for (let round = 0; round < 6; round++) {
    const listener = await Listener.open(url, '', lastId)
    await until(() => listener.messages.length > 0 || seen.length === total)
    if (round % 2 === 0) {
      await stop()
      await until(() => listener.ended)
      await start()
    } else {
      listener.leave()
      await until(() => listener.ended)
    }
    seen.push(...listener.numbers)
    lastId = listener.lastId ?? lastId
  }
  await publishing
  const rest = await Listener.open(url, '', lastId)
  await until(() => seen.length + rest.messages.length >= total)
  expect([...seen, ...rest.numbers]).toEqual(upTo(total))
})

test('clients that come at any moment of a busy log see no gap and no double', async () => {
  const { bus, url } = await openGateway()
  const total = 2_000
  const listeners: Promise<Listener>[] = []
  for (let n = 0; n < total; n += 20) {
    const publishing = bus.publishAll(numbered(n, n + 20))
    if (n % 100 === 0) listeners.push(Listener.open(url, '?after=0'))
    await publishing
  }
  for (const opened of listeners) {
    const listener = await opened
    await until(() => listener.messages.length >= total, { within: 15_000 })
    expect(listener.numbers).toEqual(upTo(total))
  }
})

test('Last-Event-ID goes before after, as browsers repeat the address', async () => {
  const { bus, url } = await openGateway()
  const published = await bus.publishAll(numbered(0, 4))
  const listener = await Listener.open(url, '?after=0', String(published[2]!.position.offset))
  await until(() => listener.messages.length > 0)
  expect(listener.numbers).toEqual([3])
})

test('200 clients cost one reader', async () => {
  const { bus, url } = await openGateway()
  const listeners = await Promise.all(upTo(200).map(() => Listener.open(url)))
  await bus.publishAll(numbered(0, 1))
  await until(() => listeners.every(listener => listener.messages.length === 1))
  const read = vi.spyOn(bus.driver, 'read')
  await bus.publishAll(numbered(1, 50))
  await until(() => listeners.every(listener => listener.messages.length === 50), { within: 15_000 })
  for (const listener of listeners) expect(listener.numbers).toEqual(upTo(50))
  expect(read.mock.calls.length).toBeLessThanOrEqual(5)
})

test('without listeners the log is not read', async () => {
  const { bus, url } = await openGateway()
  const listener = await Listener.open(url)
  await bus.publishAll(numbered(0, 1))
  await until(() => listener.messages.length === 1)
  listener.leave()
  const read = vi.spyOn(bus.driver, 'read')
  await until(async () => {
    read.mockClear()
    await bus.publishAll(numbered(1, 2))
    await new Promise(setImmediate)
    return read.mock.calls.length === 0
  })
})

test('data stored in a blob is sent whole', async () => {
  const { bus, url } = await openGateway()
  const listener = await Listener.open(url)
  const report = 'x'.repeat(100_000)
  await bus.publish({ type: 'report.completed', data: { report } })
  await until(() => listener.messages.length === 1)
  expect(listener.messages[0]!.data).toMatchObject({ data: { report } })
  expect(listener.messages[0]!.data).not.toHaveProperty('dataref')
})

test('signals go to clients of their correlation or type, without an id', async () => {
  const { bus, url } = await openGateway()
  const correlationid = crypto.randomUUID()
  const [own, other, typed] = await Promise.all([
    Listener.open(url, `?correlation=${correlationid}`),
    Listener.open(url, `?correlation=${crypto.randomUUID()}`),
    Listener.open(url, '?type=tool.progress'),
  ])
  const done = () => Promise.resolve(bus.signal({ type: 'tool.progress', correlationid, data: { n: 1 } }))
  // A client receives signals once it has caught up, which it does soon after its stream is open.
  await until(async () => {
    await done()
    return own.messages.length > 0 && typed.messages.length > 0
  })
  bus.signal({ type: 'call.cancelled', correlationid, data: null })
  await bus.publishAll(numbered(7, 8, { correlationid }))
  await until(() => own.numbers.includes(7))
  expect(own.messages[0]).toMatchObject({
    event: 'signal',
    data: { type: 'tool.progress', correlationid, data: { n: 1 } },
  })
  expect(own.messages[0]!.id).toBeUndefined()
  expect(new Set(own.messages.map(({ data }) => data!.type))).toEqual(new Set(['tool.progress', 'count.made']))
  expect(other.messages).toEqual([])
})

test('a quiet stream is kept open by comments', async () => {
  const { url } = await openGateway({ heartbeatIntervalMs: 20 })
  const listener = await Listener.open(url)
  await until(() => listener.comments >= 3)
})

test('a client that does not read is disconnected, delays no other, and resumes where it was', async () => {
  const { bus, url } = await openGateway({ maxBufferedBytes: 64 * 1024, stallTimeoutMs: 500 })
  const cut: object[] = []
  setLogger({ warn: fields => void cut.push(fields) })
  onTestFinished(() => setLogger({}))
  const reading = await Listener.open(url, '?after=0')
  const stuck = connect(Number(new URL(url).port), '127.0.0.1')
  stuck.write('GET /events/stream?after=0 HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await new Promise(resolve => stuck.once('data', resolve))
  stuck.pause()
  let closed = false
  stuck.on('close', () => (closed = true)).on('error', () => {})
  const filler = 'x'.repeat(7_000)
  let n = 0
  // The buffers of the kernel take some megabytes before anything waits in the gateway.
  while (n < 4_000) {
    await bus.publishAll(upTo(100).map(i => ({ type: 'count.made', data: { n: n + i, filler } })))
    n += 100
  }
  await until(() => reading.messages.length === n, { within: 20_000 })
  expect(reading.numbers).toEqual(upTo(n))
  // The stuck client cannot see that it was cut off before it reads again, and must not read before that.
  await until(() => cut.length > 0, { within: 20_000 })
  let received = ''
  stuck.on('data', chunk => (received += chunk.toString()))
  stuck.resume()
  await until(() => closed)
  const lastId = [...received.matchAll(/^id: (\d+)\ndata: .*\n\n/gm)].at(-1)?.[1] ?? '0'
  expect(received.length).toBeLessThan(n * 7_000)
  const resumed = await Listener.open(url, '', lastId)
  const missed = upTo(n).slice(
    Number(/"n":(\d+)(?!.*"n":)/s.exec(received.slice(0, received.lastIndexOf('\n\n')))?.[1] ?? -1) + 1,
  )
  await until(() => resumed.messages.length === missed.length, { within: 20_000 })
  expect(resumed.numbers).toEqual(missed)
})

test('whatever the address says, the answer is a stream or 400', async () => {
  const { url } = await openGateway()
  const names = fc.constantFrom('user', 'correlation', 'task', 'type', 'after', 'as', 'ticket')
  const values = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('0', '~', '~0-1', '>', '*', 'a.>', 'message', 'A'.repeat(2_048)),
  )
  const queries = fc.array(fc.tuple(fc.oneof({ weight: 9, arbitrary: names }, fc.string()), values), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(queries, async query => {
      const abort = new AbortController()
      const parameters = query.map(([name, value]): [string, string] => [name.toWellFormed(), value.toWellFormed()])
      const address = `${url}/events/stream?${new URLSearchParams(parameters).toString()}`
      const response = await fetch(address, { signal: abort.signal })
      if (response.status === 400)
        expect(await response.json()).toMatchObject({ error: { code: 'E_REQUEST_INVALID', next: expect.any(String) } })
      else expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
      abort.abort()
    }),
    { numRuns: 300 },
  )
})

test('bad parameters are answered with 400, a cursor of another log too', async () => {
  const { bus, url } = await openGateway()
  const queries = [
    '?type=A',
    '?type=',
    '?after=-1',
    '?after=x',
    '?after=99',
    '?after=0.1',
    '?correlation=1',
    '?foo=1',
    '?after=0&after=1',
  ]
  queries.push(
    `?${upTo(65)
      .map(n => `type=t${n}`)
      .join('&')}`,
  )
  for (const query of queries) {
    const response = await fetch(`${url}/events/stream${query}`)
    expect([query, response.status, await response.json()]).toEqual([
      query,
      400,
      { error: expect.objectContaining({ code: 'E_REQUEST_INVALID', next: expect.any(String) }) },
    ])
  }
  expect((await Listener.open(url, '', 'seven')).status).toBe(400)
  expect(await bus.driver.head()).toBe('0')
})
