import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import {
  agent,
  offlineModel,
  tool,
  workflow,
  type AppOptions,
  type CloudEvent,
  type ToolContext,
} from '../src/index.ts'
import type { Bus } from '../src/bus/bus.ts'
import type { StoredEvent } from '../src/bus/driver.ts'
import { correlationOf } from '../src/bus/ids.ts'
import { openBus } from '../src/runtime/environment.ts'
import { importFrom } from '../src/replay/slice-import.ts'
import { writeSlice } from '../src/replay/slice-write.ts'
import { sourceFromBus, sourceFromFile, type RecordedSource } from '../src/replay/source.ts'
import type { Selection } from '../src/replay/selection.ts'
import type { Turn } from '../src/tasks/program.ts'
import { collect, until } from '../src/testing/wait.ts'
import { describeNats, natsUrl } from './lib/nats.ts'
import { ask, eventsOf, World } from './lib/world.ts'

/* A part of a log goes into a file, and from there onto another log. */

let folder: string
/** A slice that was recorded on the embedded log, and two of its tasks. */
let slice: { path: string; waiting: string; cancelled: string; bus: Bus }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-slice-'))
  const { place, ...tasks } = await recorded('sqlite')
  const bus = await openBus(place)
  slice = { ...tasks, bus, ...(await exported(bus)) }
})
afterAll(async () => {
  await slice.bus.driver.close()
  await rm(folder, { recursive: true, force: true })
})

const large = 'x'.repeat(20_000)

/** What runs, and what of it did. */
function stations() {
  const ran: { name: string; correlation: string }[] = []
  const run =
    (name: string) =>
    (text: string, { event }: ToolContext) => {
      ran.push({ name, correlation: event.correlationid })
      return name === 'broken' ? Promise.reject(new Error('no luck')) : `${text} ${large}`
    }
  const made = (name: string, more = {}) =>
    tool(`text.${name}`, { description: name, input: z.string(), run: run(name), ...more })
  const tools = { double: made('double'), broken: made('broken'), once: made('once', { atMostOnce: true }) }
  const absent = made('absent')
  const search = tool('notes.search', {
    description: 'Search the notes',
    input: z.object({ query: z.string() }),
    run: (_, { event }) => {
      ran.push({ name: 'search', correlation: event.correlationid })
      return [{ id: 'note-1', text: 'On Sunday the shop is open.' }]
    },
  })
  const helper = agent('helper', { model: offlineModel(), instructions: 'Answer from the notes.', tools: [search] })
  const desk = agent('desk', {
    on: 'question.asked',
    async run(ctx, { text }: { text: string }) {
      const answers = await ctx.all([
        each => each.call(helper, text),
        each => each.call(tools.double, text),
        each => each.call(tools.once, text),
        each => each.call(tools.broken, text).catch((error: Error) => error.message),
        each => each.call(absent, text, { within: '20ms' }).catch((error: Error) => error.message),
      ])
      await ctx.sleep('5ms')
      ctx.emit({ type: 'question.answered', data: { answers } })
      return 'done'
    },
  })
  const waiter = agent('waiter', {
    on: 'wait.wanted',
    run: (ctx, text: string) => ctx.call(absent, text, { within: 'forever' }),
  })
  const noted = workflow('noted', { on: 'note.wanted', within: '1h' }).emit('note.made', s => s.event)
  const use: AppOptions['use'] = [desk, helper, waiter, noted, search, ...Object.values(tools)]
  return { ran, use, absent }
}

const isOpen = (type: string) => (event: CloudEvent) => event.type === type
const question = { type: 'question.asked', data: { text: 'When is the shop open on Sunday?' } }

function worldOn(bus: string): World {
  const world = new World(join(folder, randomUUID()), bus)
  onTestFinished(() => world.stop())
  return world
}

async function opened({ place }: Pick<World, 'place'>): Promise<Bus> {
  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  return bus
}

/** A log on which questions were answered, a task waits for ever, and one was cancelled. */
async function recorded(bus: string) {
  const world = new World(join(folder, randomUUID()), bus)
  const running = await world.worker({ use: stations().use })
  await Promise.all([1, 2].map(() => ask(running, question)))
  await ask(running, { type: 'note.wanted', data: 'it' })
  const [waiting, cancelled] = [await wait(), await wait()]
  const { bus: log } = running
  await log.publish({ type: 'agent.cancel', target: 'waiter', subject: cancelled, data: { reason: 'enough' }, correlationid: correlationOf(cancelled) }) // biome-ignore format: one event
  await until(async () => (await collect(log.read({ task: cancelled }))).some(({ event }) => event.type === 'agent.task.cancelled')) // biome-ignore format: one condition
  await world.stop()
  return { place: world.place, waiting, cancelled }

  async function wait() {
    const { correlationid } = await running.bus.publish({ type: 'wait.wanted', data: 'it' })
    const call = await until(async () => (await eventsOf(running, correlationid)).find(isOpen('tool.invoke')))
    return call.id.split(':')[0]!
  }
}

let files = 0
async function exported(bus: Bus, selection: Selection = { all: true }) {
  const path = join(folder, `${++files}.jsonl`)
  const summary = await writeSlice(sourceFromBus(bus, selection), path)
  const lines = (await readFile(path, 'utf8')).split('\n')
  // What differs from log to log: positions, and the first and the last line.
  const text = lines.slice(1, -2).map(line => line.replace(/^\{"position":\{[^}]*\},/, '{'))
  return { path, summary, text }
}

const logs = { sqlite: () => 'sqlite', nats: () => `${natsUrl()}/slice-${randomUUID()}` }

function between(from: keyof typeof logs, to: keyof typeof logs) {
  test(`a log is the same after export from ${from} and import to ${to}`, async () => {
    const { place, waiting, cancelled } = await recorded(logs[from]())
    const bus = await opened({ place })
    const first = await exported(bus)
    const copy = await opened(worldOn(logs[to]()))
    const imported = await importFrom(sourceFromFile(first.path), copy)
    expect(imported).toEqual({ events: first.summary.events, turns: first.summary.turns, withoutBeginning: 0 })
    expect(first.summary).toMatchObject({ documents: 2, missing: 0, redacted: 0 })
    // What an instance goes by comes along, wherever it goes on.
    expect(first.text.filter(line => line.startsWith('{"document":"workflow/noted/'))).toHaveLength(1)
    const second = await exported(copy)
    expect(second.text).toEqual(first.text)

    const types = new Set((await collect(copy.read({}))).map(({ event }) => event.type))
    for (const type of ['tool.claimed', 'call.expired', 'call.cancelled', 'timer.fired', 'tool.failed', 'model.result'])
      expect(types).toContain(type)
    const large = (await collect(copy.read({}))).filter(({ event }) => event.dataref)
    expect(large.length).toBeGreaterThan(0)
    for (const task of [waiting, cancelled]) expect(await journalOf(copy, task)).toEqual(await journalOf(bus, task))
    for (const selection of [{ task: cancelled }, { correlation: correlationOf(waiting) }, { since: 0 }]) {
      const part = await exported(bus, selection)
      expect(part.text.length).toBeGreaterThan(2)
      expect((await exported(copy, selection)).text).toEqual(part.text)
    }
  })
}

/** Turns and what they emitted. Brokers differ in the order within a turn, and in whether expiries are records too. */
async function journalOf(bus: Bus, task: string) {
  const { records, snapshot } = await bus.driver.journal(task)
  expect(snapshot).toBeUndefined()
  expect(records.length).toBeGreaterThan(1)
  return records.filter(({ id }) => !/:(fired|expired)$/.test(id)).toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

function atRest(kind: keyof typeof logs) {
  describe(`a slice that was imported into ${kind}`, () => {
    async function importedWorld() {
      const world = worldOn(logs[kind]())
      const copy = await openBus(world.place)
      const { events } = await importFrom(sourceFromFile(slice.path), copy)
      await copy.driver.close()
      return { world, events }
    }

    test('is not processed when an app starts', async () => {
      const { world, events } = await importedWorld()
      const { ran, use, absent } = stations()
      const running = await world.worker({ use: [...use, absent] })
      const before = await collect(running.bus.read({}))
      expect(before).toHaveLength(events)
      expect(before.filter(({ event }) => event.type === 'tool.invoke' && event.target === 'text.absent').length).toBeGreaterThan(0) // biome-ignore format: one condition
      // New work is done, and by each of the groups that the old requests would come through.
      await ask(running, question)
      await ask(running, { type: 'wait.wanted', data: 'it' })
      const after = await collect(running.bus.read({ after: before.at(-1)!.cursor }))
      const started = new Set(after.map(({ event }) => event.correlationid))
      expect(started.size).toBe(2)
      for (const { event } of before) expect(started).not.toContain(event.correlationid)
      expect(new Set(ran.map(({ name }) => name))).toEqual(new Set(['absent', 'broken', 'double', 'once', 'search']))
      expect(new Set(ran.map(({ correlation }) => correlation))).toEqual(started)
      expect(await collect(running.bus.driver.listDeferred())).toEqual([])
      expect(await collect(running.bus.driver.missedWakes(Date.now() + 1e12))).toEqual([])
    })

    test('is kept by the janitor, also of tasks that have ended', async () => {
      const bus = await opened(worldOn(logs[kind]()))
      const ended = await exported(slice.bus, { correlation: correlationOf(slice.cancelled) })
      const { events } = await importFrom(sourceFromFile(ended.path), bus)
      expect(await bus.driver.purge({ maxAgeMs: 0, maxLag: 1_000_000 })).toMatchObject({ events: 0 })
      expect(await collect(bus.read({}))).toHaveLength(events)
    })

    test('is refused by a log that is not empty', async () => {
      const { path } = slice
      const started = worldOn(logs[kind]())
      await (await started.worker({ use: stations().use })).stop()
      const copy = await opened(started)
      await expect(importFrom(sourceFromFile(path), copy)).rejects.toMatchObject({ code: 'E_IMPORT_NOT_EMPTY' })
      const other = await opened(worldOn(logs[kind]()))
      await importFrom(sourceFromFile(path), other)
      await expect(importFrom(sourceFromFile(path), other)).rejects.toMatchObject({ code: 'E_IMPORT_NOT_EMPTY' })
    })

    test('is refused completely if it is invalid', async () => {
      const turn = (await collect(slice.bus.read({}))).find(({ event }) => event.type === 'task.turn')!
      const { data } = turn.event as CloudEvent<Turn>
      const wrong = [
        { ...turn.event, type: 'Not A Type' },
        { ...turn.event, id: 'not-the-id-of-a-turn' },
        { ...turn.event, data: { ...data, version: data.version + 1 } },
        { ...turn.event, data: { ...data, inputs: [{ id: 'incomplete' }] } },
      ]
      const copy = await opened(worldOn(logs[kind]()))
      for (const event of wrong) {
        const source = stopping([{ position: { partition: 0, offset: 1 }, event }])
        await expect(importFrom(source, copy)).rejects.toMatchObject({ code: 'E_SLICE_INVALID' })
      }
      expect(await copy.driver.head()).toBe('0')
    })

    test('is not processed if only a part was imported, and cannot be continued', async () => {
      const events = await collect(sourceFromFile(slice.path).events())
      const world = worldOn(logs[kind]())
      const copy = await openBus(world.place)
      await expect(importFrom(stopping(events, 20), copy)).rejects.toThrow('killed')
      expect(await copy.driver.head()).not.toBe('0')
      await expect(importFrom(stopping(events), copy)).rejects.toMatchObject({
        code: 'E_IMPORT_NOT_EMPTY',
        message: expect.stringContaining('interrupted'),
      })
      await copy.driver.close()
      await expect(world.worker({ use: stations().use })).rejects.toMatchObject({ code: 'E_IMPORT_PARTIAL' })
    })

    test('keeps turns whose task begins before the slice as events', async () => {
      const { bus, cancelled } = slice
      const events = await collect(sourceFromBus(bus, { task: cancelled }).events())
      const later = events.filter(({ event }) => !event.id.startsWith(`${cancelled}:0000001`))
      const copy = await opened(worldOn(logs[kind]()))
      expect(await importFrom(stopping(later), copy)).toMatchObject({ turns: 1, withoutBeginning: 1 })
      const read = await collect(copy.read({ correlation: correlationOf(cancelled) }))
      expect(read.map(({ event }) => event)).toEqual(later.map(({ event }) => event))
    })
  })
}

/** A source that ends like a process that is killed, when it is read for the second time. */
function stopping(events: readonly StoredEvent[], at = Infinity): RecordedSource {
  let reads = 0
  return {
    async *events() {
      const last = ++reads === 2 ? at : Infinity
      for (const [i, stored] of events.entries()) {
        if (i === last) throw new Error('killed')
        yield stored
      }
    },
    document: async () => undefined,
  }
}

between('sqlite', 'sqlite')
atRest('sqlite')
describeNats('with nats', () => {
  between('sqlite', 'nats')
  between('nats', 'sqlite')
  between('nats', 'nats')
  atRest('nats')
})
