import { randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEvent, type CloudEvent, type Draft } from '../event.ts'
import { Bus } from '../bus/bus.ts'
import { emitId, taskId, turnId } from '../bus/ids.ts'
import { openSqlite } from '../drivers/sqlite/index.ts'
import { collect } from '../testing/wait.ts'
import { turnType } from '../tasks/turn.ts'
import { turnsFirst, groupByTurn } from './order.ts'
import type { Selection } from './selection.ts'
import { sourceFromBus } from './source.ts'

let home: string
let bus: Bus

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidings-order-'))
  bus = new Bus(await openSqlite({ home }))
})
afterEach(async () => {
  await bus.driver.close()
  await rm(home, { recursive: true, force: true })
})

const made = (draft: Partial<Draft>, at?: number): CloudEvent => ({
  ...createEvent({ type: 'a.b', data: null, ...draft }),
  ...(at !== undefined && { time: new Date(at).toISOString() }),
})
const publish = async (...events: CloudEvent[]) => bus.driver.publish(await bus.encodeAll(events))
const noise = (count: number) => Array.from({ length: count }, (_, n) => made({ id: `noise-${n}` }))

/** A turn whose events are published later, as some brokers have it. */
function turnOf(task: string, emitted: readonly CloudEvent[]): CloudEvent {
  const inputs = [made({ id: 'start', correlationid: task.slice(0, 36) })]
  const emits = emitted.map(({ id, type }) => ({ id, type, hash: '' }))
  const data = { program: 'p', programVersion: 1, programHash: '', version: 1, at: 0, inputs, emits }
  return made({ id: turnId(task, 1), type: turnType, correlationid: task.slice(0, 36), data })
}

async function commit(task: string, turn: CloudEvent) {
  const [entry] = await bus.encodeTurn(turn, [])
  const rest = { group: 'g', expect: 0, events: [], settle: [], wake: null }
  expect(await bus.driver.commit({ ...rest, task, turn: entry! })).toBe('accepted')
}

describe('what a turn emitted', () => {
  for (const [where, between] of [
    ['near', 3],
    ['far', 1_000],
  ] as const)
    test(`directly follows it, even if it is ${where} behind on the log`, async () => {
      const task = taskId(randomUUIDv7(), 'p', 'start')
      const emitted = [2, 0, 1].map(n => made({ id: emitId(task, 1, n), correlationid: task.slice(0, 36), data: n }))
      const turn = turnOf(task, emitted)
      await commit(task, turn)
      const others = noise(between)
      await publish(...others.slice(1), ...emitted.toReversed(), others[0]!)
      const events = await collect(sourceFromBus(bus, { all: true }).events())
      expect(events.map(({ event }) => event)).toEqual([turn, ...emitted, ...others.slice(1), others[0]])
      expect(new Set(events.map(({ position }) => position.offset)).size).toBe(events.length)
      const [step, ...more] = await collect(groupByTurn(sourceFromBus(bus, { all: true }).events()))
      expect(step!.emitted.map(({ event }) => event)).toEqual(emitted)
      expect(more.every(each => each.emitted.length === 0)).toBe(true)
    })

  test('is left out if it is no longer on the log', async () => {
    const task = taskId(randomUUIDv7(), 'p', 'start')
    const [kept, gone] = [0, 1].map(n => made({ id: emitId(task, 1, n), correlationid: task.slice(0, 36) }))
    const turn = turnOf(task, [gone!, kept!])
    await commit(task, turn)
    await publish(kept!, ...noise(2))
    const events = await collect(turnsFirst(bus, bus.read({})))
    expect(events.map(({ event }) => event.id)).toEqual([turn.id, kept!.id, 'noise-0', 'noise-1'])
  })
})

describe('a selection by time', () => {
  const hour = 3_600_000
  const now = Date.now()
  /** As it would have been minted then. */
  const minted = (at: number) => {
    const hex = at.toString(16).padStart(12, '0')
    return `${hex.slice(0, 8)}-${hex.slice(8)}${randomUUIDv7().slice(13)}`
  }
  const selected = async (selection: Selection) =>
    (await collect(sourceFromBus(bus, selection).events())).map(({ event }) => event.id)

  test('selects every correlation that was active then, completely', async () => {
    const [old, long, recent] = [minted(now - 9 * hour), minted(now - 8 * hour), minted(now - hour / 2)]
    await publish(
      made({ id: 'old-1', correlationid: old }, now - 9 * hour),
      made({ id: 'long-1', correlationid: long }, now - 8 * hour),
      made({ id: 'old-2', correlationid: old }, now - 7 * hour),
      made({ id: 'long-2', correlationid: long }, now - hour / 2),
      made({ id: 'recent-1', correlationid: recent }, now - hour / 3),
    )
    expect(await selected({ since: now - hour })).toEqual(['long-1', 'long-2', 'recent-1'])
    expect(await selected({ since: now - 8.5 * hour, until: now - 7.5 * hour })).toEqual(['long-1', 'long-2'])
    expect(await selected({ since: now })).toEqual([])
    expect(await selected({ since: 0 })).toHaveLength(5)
  })

  test('includes correlations whose ids contain no time', async () => {
    const other = '11111111-1111-4111-8111-111111111111'
    await publish(
      made({ id: 'first', correlationid: other }, now - 9 * hour),
      made({ id: 'between' }, now - 8 * hour),
      made({ id: 'last', correlationid: other }, now),
    )
    expect(await selected({ since: now - hour })).toEqual(['first', 'last'])
  })
})
