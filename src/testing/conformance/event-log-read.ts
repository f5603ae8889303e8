import { randomUUIDv7 } from 'node:crypto'
import { setImmediate as breath } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect } from 'vitest'
import { beginning, advance, coversAll } from '../../bus/cursor.ts'
import type { Cursor, Driver, LogEntry, StoredEvent } from '../../bus/driver.ts'
import { resultId } from '../../bus/ids.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { collect, until } from '../wait.ts'
import { emitted, entries, entry, ids, input, newTask, positions, related, turn } from './entries.ts'
import type { Cases } from './world.ts'

function heapInUse(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

const numbers = async (driver: Driver) =>
  (await collect(driver.read({}))).map(({ event }) => (event.data as { n: number }).n)

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Follows the log in the background. */
function following(driver: Driver, after: Cursor, filter?: Filter) {
  const abort = new AbortController()
  const seen: LogEntry[] = []
  const ended = (async () => {
    for await (const stored of driver.follow(after, filter, abort.signal)) seen.push(stored)
  })()
  return { seen, ended, stop: () => abort.abort() }
}

export const read: Cases = {
  'an event is found by its id, with its position': async world => {
    const driver = await world.open()
    const [one, other] = entries(2)
    const [, appended] = await driver.publish([one!, other!])
    expect(await driver.get(other!.event.id, other!.event.correlationid)).toEqual({
      position: appended!.position,
      event: other!.event,
    })
    expect(await driver.get('nobody', one!.event.correlationid)).toBeUndefined()
  },

  'the head is the beginning, then the cursor after the newest event of any member': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    expect(await driver.head()).toBe(beginning)
    await other.publish(entries(30))
    expect(await driver.head()).toBe((await collect(driver.read({}))).at(-1)!.cursor)
  },

  'events are found by their positions, in the order asked, with gaps where there is none': async world => {
    const driver = await world.owner()
    const sent = related(300)
    const at = positions(await driver.publish(sent))
    const made = newTask()
    await driver.commit({ ...turn(made, 0), events: [] })
    const all = (await collect(driver.read({}))).map(({ position, event }): StoredEvent => ({ position, event }))
    const { partition, offset } = at.at(-1)!
    const missing = { partition, offset: offset + 1_000 }
    const asked = [...all.map(({ position }) => position).toReversed(), missing, all[0]!.position]
    expect(await driver.readAt(asked)).toEqual([...all.toReversed(), undefined, all[0]])
    expect(await driver.readAt([])).toEqual([])
  },

  'the log is read after a cursor, until and with another one': async world => {
    const driver = await world.open()
    const sent = related(10)
    const at = positions(await driver.publish(sent))
    const seen = async (query: Parameters<Driver['read']>[0]) => ids(await collect(driver.read(query)))
    expect(await seen({})).toEqual(ids(sent))
    expect((await collect(driver.read({}))).map(s => s.position)).toEqual(at)
    const upTo = (n: number) => advance(beginning, at[n]!)
    expect(await seen({ after: beginning })).toEqual(ids(sent))
    expect(await seen({ after: upTo(3) })).toEqual(ids(sent.slice(4)))
    expect(await seen({ until: upTo(3) })).toEqual(ids(sent.slice(0, 4)))
    expect(await seen({ after: upTo(1), until: upTo(4) })).toEqual(ids(sent.slice(2, 5)))
    expect(await seen({ after: upTo(9) })).toEqual([])
    expect(await seen({ filter: [{ types: ['nothing'] }] })).toEqual([])
  },

  'a filter finds exactly what its patterns and targets match': async world => {
    const driver = await world.open()
    const word = fc.constantFrom('order', 'paid', 'a-b', 'a_b')
    const target = fc.constantFrom('writer', 'web.search', undefined)
    const type = fc.array(word, { minLength: 1, maxLength: 3 }).map(words => words.join('.'))
    const kinds = fc.sample(fc.tuple(type, target), { numRuns: 150, seed: 7 })
    const correlationid = randomUUIDv7()
    const log = kinds.map(([type, target]) => entry({ type, correlationid, ...(target && { target }) }))
    await driver.publish(log)
    const pattern = fc.oneof(
      type,
      fc.array(fc.oneof(word, fc.constant('*')), { minLength: 1, maxLength: 3 }).map(words => words.join('.')),
      type.map(type => `${type}.>`),
      fc.constant('>'),
    )
    const clause = fc.record(
      {
        types: fc.array(pattern, { minLength: 1, maxLength: 3 }),
        targets: fc.subarray(['writer', 'web.search', 'web.*']),
      },
      { requiredKeys: ['types'] },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(clause, { minLength: 1, maxLength: 3 }), async (filter: Filter) => {
        const matches = compileFilter(filter)
        const found = await collect(driver.read({ filter }))
        expect(ids(found)).toEqual(ids(log.filter(({ event }) => matches(event))))
      }),
      { numRuns: 60 },
    )
  },

  'a reader may stop early, and another one goes on from there': async world => {
    const driver = await world.open()
    const log = related(1_000, n => ({ type: n % 100 === 99 ? 'job.rare' : 'job.common' }))
    await driver.publish(log)
    const found: LogEntry[] = []
    const readThree = async () => {
      const after = found.at(-1)?.cursor ?? beginning
      for await (const entry of driver.read({ after, filter: [{ types: ['job.rare'] }] })) {
        found.push(entry)
        if (found.length % 3 === 0) return
      }
    }
    await readThree()
    await readThree()
    expect(ids(found)).toEqual([99, 199, 299, 399, 499, 599].map(n => log[n]!.event.id))
  },

  'a correlation is read in order, whether its ids were minted by the runtime or elsewhere': async world => {
    const driver = await world.owner()
    const correlationid = randomUUIDv7()
    const task = newTask(correlationid)
    const foreign = [entry({ correlationid, id: 'mail:<1@example.org>' }), entry({ correlationid })]
    const noise = () => entries(2)
    await driver.publish([...noise(), foreign[0]!])
    const emits = [emitted(task, 1, 0), emitted(task, 1, 1)]
    const first = turn(task, 0, { events: emits })
    await driver.commit(first)
    await driver.publish([...noise(), foreign[1]!])
    const found = await collect(driver.read({ correlation: correlationid }))
    const all = (await collect(driver.read({}))).filter(({ event }) => event.correlationid === correlationid)
    expect(found.map(({ position, event }) => [position, event])).toEqual(
      all.map(({ position, event }) => [position, event]),
    )
    expect(ids(found).toSorted()).toEqual(ids([...foreign, first.turn, ...emits]).toSorted())
    const range = { after: found[1]!.cursor, until: found.at(-2)!.cursor }
    expect(await collect(driver.read({ correlation: correlationid, ...range }))).toEqual(found.slice(2, -1))
    expect(await collect(driver.read({ correlation: randomUUIDv7() }))).toEqual([])
  },

  'a task is read in order: its turns and what they emitted, and not its neighbours': async world => {
    const driver = await world.owner()
    const correlation = randomUUIDv7()
    const [task, neighbour] = [newTask(correlation), newTask(correlation)]
    const mine = []
    for (const version of [1, 2, 3]) {
      const events = upTo(12).map(ordinal => emitted(task, version, ordinal))
      const own = turn(task, version - 1, { events })
      mine.push(own.turn, ...events)
      await driver.commit(own)
      await driver.commit(turn(neighbour, version - 1, { events: [emitted(neighbour, version, 0)] }))
    }
    await driver.publish([input(task)])
    const found = await collect(driver.read({ task }))
    expect(ids(found).toSorted()).toEqual(ids(mine).toSorted())
    expect(found.map(s => s.position.offset)).toEqual(found.map(s => s.position.offset).toSorted((a, b) => a - b))
    expect(await collect(driver.read({ task: newTask() }))).toEqual([])
  },

  'an answer is kept with its call, and is not in the journal': async world => {
    const driver = await world.owner()
    const task = newTask()
    const call = emitted(task, 1, 0, { type: 'tool.invoke' })
    const answer = entry({ id: resultId(call.event.id), type: 'tool.result', correlationid: call.event.correlationid })
    await driver.commit(turn(task, 0, { events: [call] }))
    await driver.publish([answer])
    expect((await driver.get(answer.event.id, answer.event.correlationid))?.event).toEqual(answer.event)
    expect((await driver.journal(task)).records.map(r => r.id)).not.toContain(answer.event.id)
  },

  'a follower gets what is there after its cursor and then what comes, from any member, until it is stopped':
    async world => {
      const [driver, other] = [await world.open(), await world.open()]
      const [first, ...rest] = related(50)
      const [before, later] = [rest.slice(0, 19), rest.slice(19)]
      const [after] = positions(await driver.publish([first!]))
      await driver.publish(before)
      const { seen, stop, ended } = following(driver, advance(beginning, after!))
      await until(() => seen.length === before.length)
      for (const [n, one] of later.entries()) await (n % 2 ? driver : other).publish([one])
      await until(() => seen.length === before.length + later.length)
      stop()
      await ended
      await driver.publish([entry()])
      expect(ids(seen)).toEqual(ids([...before, ...later]))
      expect(
        seen.every(
          ({ cursor }, n) => n === 0 || (coversAll(cursor, seen[n - 1]!.cursor) && cursor !== seen[n - 1]!.cursor),
        ),
      ).toBe(true)
    },

  'a follower gets only what its filter matches, turns too when it asks for them': async world => {
    const driver = await world.owner()
    const calls = following(driver, beginning, [{ types: ['tool.*'], targets: ['search'] }, { types: ['order.>'] }])
    const turns = following(driver, beginning, [{ types: ['task.turn'] }])
    const task = newTask()
    const call = emitted(task, 1, 0, { type: 'tool.invoke', target: 'search' })
    await driver.publish([entry(), entry({ type: 'tool.invoke', target: 'fetch' })])
    const own = turn(task, 0, { events: [call] })
    await driver.commit(own)
    const [order] = entries(1, () => ({ type: 'order.paid.twice' }))
    await driver.publish([entry({ type: 'order' }), order!])
    await until(() => calls.seen.length === 2 && turns.seen.length === 1)
    expect(ids(calls.seen).toSorted()).toEqual(ids([call, order!]).toSorted())
    expect(turns.seen[0]!.event).toEqual(own.turn.event)
    for (const each of [calls, turns]) each.stop()
    await Promise.all([calls.ended, turns.ended])
  },

  'a slow follower misses nothing, and delays no other': async world => {
    const driver = await world.open()
    const sent = related(3_000)
    const stop = new AbortController()
    const slow = driver.follow(beginning, undefined, stop.signal)[Symbol.asyncIterator]()
    for (let n = 0; n < sent.length; n += 500) await driver.publish(sent.slice(n, n + 500))
    const seen: string[] = []
    while (seen.length < sent.length) {
      seen.push((await slow.next()).value!.event.id)
      if (seen.length % 500 === 0) await breath()
    }
    expect(seen).toEqual(ids(sent))
    stop.abort()
    await slow.return?.()
  },

  'a long log is read with bounded memory': async world => {
    const driver = await world.open()
    const [rows, size] = [4_000, 8_000]
    for (let n = 0; n < rows; n += 500) await driver.publish(entries(500, () => ({ data: 'x'.repeat(size) })))
    const before = heapInUse()
    let seen = 0
    for await (const { event } of driver.read({})) {
      expect(event.data).toHaveLength(size)
      if (++seen % 1_000 === 0) expect(heapInUse() - before).toBeLessThan((rows * size) / 3)
    }
    expect(seen).toBe(rows)
  },

  'a reader that stops early, or reads slowly, delays no other': async world => {
    const driver = await world.open()
    for (let n = 0; n < 1_500; n += 500) await driver.publish(entries(500))
    const slow = driver.read({})[Symbol.asyncIterator]()
    await slow.next()
    for await (const _ of driver.read({})) break
    await driver.publish(entries(10))
    let rest = 0
    while (!(await slow.next()).done) rest++
    expect(rest).toBeGreaterThanOrEqual(1_499)
  },

  'reading while another member writes sees a prefix of the log': async world => {
    const [writer, reader] = [await world.open(), await world.open()]
    const total = 3_000
    const written = (async () => {
      const sent = related(total)
      for (let n = 0; n < total; n += 60) await writer.publish(sent.slice(n, n + 60))
    })()
    let seen = 0
    while (seen < total) {
      await breath()
      const prefix = await numbers(reader)
      expect(prefix).toEqual(upTo(prefix.length))
      expect(prefix.length).toBeGreaterThanOrEqual(seen)
      seen = prefix.length
    }
    await written
  },

  'a reader that continues after the last cursor misses nothing of several writers': async world => {
    const [a, b, reader] = [await world.open(), await world.open(), await world.open()]
    const sent = [entries(300), entries(300)] as const
    const written = Promise.all([...sent[0].map(one => a.publish([one])), ...sent[1].map(one => b.publish([one]))])
    const seen: string[] = []
    let after = beginning
    await until(
      async () => {
        for await (const { cursor, event } of reader.read({ after })) {
          after = cursor
          seen.push(event.id)
        }
        return seen.length >= 600
      },
      { within: 20_000 },
    )
    await written
    expect(seen.toSorted()).toEqual(ids(sent.flat()).toSorted())
  },
}
