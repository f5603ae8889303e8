import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import type { StreamPart } from '../src/ask/parts.ts'
import type { TaskHandle } from '../src/ask/handle.ts'
import type { CloudEvent } from '../src/event.ts'
import { model } from '../src/models/model.ts'
import { connect } from '../src/runtime/connect.ts'
import type { Redaction } from '../src/bus/redact.ts'
import type { TextDelta } from '../src/tasks/text-delta.ts'
import { freePort } from '../src/testing/ports.ts'
import { until } from '../src/testing/wait.ts'
import { Pen } from './lib/pen.ts'
import { shownOf, StreamedClient } from './lib/stream-client.ts'
import { launch } from './lib/cli.ts'
import { eventsOf, onEveryBus, type World } from './lib/world.ts'

/* The text of a model that is still writing, for readers that come and go. Each reader is a connection of its own to the log. */

async function writing(created: World, redact: Redaction = {}) {
  const pen = new Pen()
  onTestFinished(() => pen.close())
  const writer = agent('writer', {
    model: model(pen.model, { retry: { backoff: '10ms' } }),
    instructions: 'Write.',
  })
  const worker = await created.worker({ use: [writer], redact })
  const handle = await worker.ask(writer, 'A story, please.')
  return { pen, worker, handle, sheet: await pen.sheet() }
}

/** Another process that reads the stream of a task. */
async function reader({ place }: World, id: string) {
  const tidings = await connect(place.bus, { home: place.home })
  onTestFinished(() => tidings.close())
  return { tidings, ...watch(tidings.handle(id)) }
}

function watch(handle: TaskHandle) {
  const parts: StreamPart[] = []
  const done = (async () => {
    for await (const part of handle.stream()) parts.push(part)
  })()
  done.catch(() => {})
  return { parts, done, text: () => shownOf(parts, 'text'), thought: () => shownOf(parts, 'reasoning') }
}

function requestsOn(worker: { bus: { onSignal: (filter: never, callback: (event: CloudEvent) => void) => unknown } }) {
  const requests: unknown[] = []
  worker.bus.onSignal([{ types: ['model.text.requested'] }] as never, ({ data }) => requests.push(data))
  return requests
}

onEveryBus(world => {
  it('gives who joins in the middle the text so far, then the rest, and asks once for all in a process', async () => {
    const created = await world()
    const { sheet, handle, worker } = await writing(created)
    const requests = requestsOn(worker)
    sheet.think('About the sea. ')
    sheet.write('Once upon ')
    const first = await reader(created, handle.id)
    await until(() => first.text() === 'Once upon ' && first.thought() === 'About the sea. ')
    sheet.write('a time there ')
    await until(() => first.text() === 'Once upon a time there ')
    const second = watch(first.tidings.handle(handle.id))
    await until(() => second.text() === first.text())
    expect(requests).toEqual([{ correlation: handle.correlation }])
    sheet.write('was a tide.')
    sheet.end()
    await Promise.all([first.done, second.done])
    for (const { parts, text, thought } of [first, second]) {
      expect(text()).toBe('Once upon a time there was a tide.')
      expect(thought()).toBe('About the sea. ')
      expect(parts.filter(({ type }) => type === 'restart')).toEqual([])
      expect(parts.at(-1)).toMatchObject({ type: 'finish', answer: { text: text() } })
    }
  })

  it('writes nothing to the log while a model streams', async () => {
    const { sheet, handle, worker } = await writing(await world())
    const own = watch(handle)
    const before = await worker.bus.head()
    sheet.write(...Array.from({ length: 500 }, (_, n) => `word-${n} `))
    await until(() => own.text().includes('word-499 '))
    expect(await worker.bus.head()).toBe(before)
    sheet.end()
    await own.done
    const types = (await eventsOf(worker, handle.correlation)).map(({ type }) => type)
    expect(types.filter(type => type !== 'task.turn')).toEqual([
      'agent.invoke',
      'model.invoke',
      'model.result',
      'agent.task.completed',
    ])
  })

  it('begins again with the next attempt, also for who has joined between them', async () => {
    const created = await world()
    const { pen, sheet, handle } = await writing(created)
    const own = watch(handle)
    sheet.write('It was a dark ')
    await until(() => own.text() === 'It was a dark ')
    sheet.tear()
    const next = await pen.sheet()
    next.write('On a bright ')
    await until(() => own.text() === 'On a bright ')
    const late = await reader(created, handle.id)
    await until(() => late.text() === 'On a bright ')
    next.write('morning.')
    next.end()
    await Promise.all([own.done, late.done])
    expect(own.text()).toBe('On a bright morning.')
    expect(late.text()).toBe('On a bright morning.')
    expect(own.parts.filter(({ type }) => type === 'restart')).toHaveLength(1)
    expect(late.parts.filter(({ type }) => type === 'restart')).toHaveLength(0)
  })

  it('asks for what it missed, and shows the answer on the log if no process replies', async () => {
    const created = await world()
    const { sheet, handle, worker } = await writing(created)
    const late = await reader(created, handle.id)
    sheet.write('Not ')
    await until(() => late.text() === 'Not ')
    const requests = requestsOn(worker)
    const call = (await eventsOf(worker, handle.correlation)).find(({ type }) => type === 'model.invoke')!
    // A newer attempt, whose beginning nobody has.
    const lost: TextDelta = { attempt: 'f', offset: 7, part: 0, kind: 'text', text: 'lost ' }
    const signal = { type: 'model.delta', source: '/models/other', subject: call.id, correlationid: handle.correlation }
    worker.bus.signal({ ...signal, data: lost })
    await until(() => requests.length > 0)
    expect(requests).toEqual([{ calls: [call.id] }])
    sheet.write('lost.')
    sheet.end()
    await late.done
    expect(late.text()).toBe('Not lost.')
  })

  it('redacts over the borders of pieces, and streams nothing that a declared path covers', async () => {
    const secret = `ghp_${'a1B2c3D4'.repeat(5)}`.slice(0, 40)
    const created = await world()
    const { sheet, handle, worker } = await writing(created, { paths: ['model.result:data.reasoning'] })
    const signals: string[] = []
    worker.bus.onSignal([{ types: ['>'] }], event => signals.push(JSON.stringify(event)))
    const own = watch(handle)
    sheet.think('Nobody may read this. ')
    sheet.write('The token is ', ...secret.split(''), ' and nothing ')
    await until(() => own.text() === 'The token is [redacted github-token] and nothing ')
    const late = await reader(created, handle.id)
    await until(() => late.text() === own.text())
    sheet.write('else.')
    sheet.end()
    await Promise.all([own.done, late.done])
    for (const { text, thought, parts } of [own, late]) {
      expect(text()).toBe('The token is [redacted github-token] and nothing else.')
      expect(thought()).toBe('[redacted data.reasoning]')
      expect(parts.filter(({ type }) => type === 'restart')).toEqual([])
    }
    expect(signals.join('')).not.toContain('a1B2')
    expect(signals.join('')).not.toContain('Nobody')
  })

  it('goes on at another gateway when the first one is killed', { timeout: 60_000 }, async () => {
    const created = await world()
    const { pen, sheet, handle } = await writing(created)
    const port = String(await freePort())
    const app = join(import.meta.dirname, 'lib/ask-app.ts')
    const killed = launch(created.place, ['run', app, '--only', 'gateway'], ['env', `TIDINGS_PORT=${port}`])
    onTestFinished(() => void killed.kill('SIGKILL'))
    const path = `/events/stream?correlation=${handle.correlation}`
    const client = new StreamedClient()
    await until(() => fetch(`http://127.0.0.1:${port}/health`).then(({ ok }) => ok), { within: 30_000 })
    sheet.think('Of tides. ')
    sheet.write('Once upon ')
    const first = client.read(headers => fetch(`http://127.0.0.1:${port}${path}`, { headers }))
    await until(() => client.shown('text') === 'Once upon ' && client.shown('reasoning') === 'Of tides. ')
    sheet.write('a time ')
    await until(() => client.shown('text') === 'Once upon a time ')
    killed.kill('SIGKILL')
    await first
    sheet.write('there was ')
    const other = await connect(created.place.bus, { home: created.place.home })
    onTestFinished(() => other.close())
    const second = client.read(headers => other.fetch(new Request(`http://localhost${path}`, { headers })))
    await until(() => client.shown('text') === 'Once upon a time there was ')
    sheet.tear()
    const next = await pen.sheet()
    next.write('There is a tide.')
    next.end()
    await handle.result()
    await until(() => client.parts.some(({ type }) => type === 'finish'))
    expect(client.shown('text')).toBe('There is a tide.')
    expect(client.shown('reasoning')).toBe('')
    expect(client.parts.filter(({ type }) => type === 'call' || type === 'finish')).toHaveLength(1)
    // The text so far came once from each gateway, and nothing was asked of the client. Later text may come with the answer alone.
    const begun = client.deltas.filter(({ data }) => (data as TextDelta).offset === 0)
    expect(begun.filter(({ data }) => (data as TextDelta).kind === 'reasoning')).toHaveLength(2)
    await other.close()
    await second
  })
})
