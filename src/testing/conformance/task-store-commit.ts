import { randomUUIDv7 } from 'node:crypto'
import { expect } from 'vitest'
import type { Commit, Driver } from '../../bus/driver.ts'
import { cancelId, correlationOf, emitId, parseId, resultId, turnId } from '../../bus/ids.ts'
import { collect, until } from '../wait.ts'
import { done, emitted, entry, hour, ids, input, newTask, retry, turn } from './entries.ts'
import { lookUpGroup } from './groups.ts'
import { worker, type Cases, type Member, type World } from './world.ts'

/** The versions of a journal. Checks that its records are in this order. */
async function versions(driver: Driver, task: string): Promise<number[]> {
  const { records } = await driver.journal(task)
  return records.filter(r => r.type === 'task.turn').map(r => parseId(r.id)!.version)
}

/** A member that runs tasks, with an unsettled input of a new task. */
async function withInput(world: World): Promise<{ driver: Driver; member: Member; task: string; first: Commit }> {
  const driver = await world.open()
  const member = await world.join(driver, worker)
  const task = newTask()
  await driver.publish([input(task)])
  const delivery = await until(() => member.deliveries[0])
  return { driver, member, task, first: turn(task, 0, { settle: [{ delivery, outcome: done }] }) }
}

export const commit: Cases = {
  'the first turn expects 0, each turn the version before it': async world => {
    const driver = await world.owner()
    const task = newTask()
    for (const expected of [0, 1, 2, 3]) expect(await driver.commit(turn(task, expected))).toBe('accepted')
    expect(await versions(driver, task)).toEqual([1, 2, 3, 4])
  },

  'the journal of a task without turns is empty': async world => {
    const driver = await world.owner()
    expect(await driver.journal(newTask())).toEqual({ records: [] })
  },

  'the journal holds the turns and what they emitted, unchanged, in order of version': async world => {
    const driver = await world.owner()
    const task = newTask()
    const written = []
    for (const version of [1, 2, 3]) {
      const events = Array.from({ length: 11 }, (_, n) => emitted(task, version, n, { data: { text: '漢字', n } }))
      const own = turn(task, version - 1, { events })
      written.push(own.turn, ...events)
      await driver.commit(own)
      await driver.commit(turn(newTask(), 0))
    }
    const reopened = await world.reopenOwner(driver)
    const { records } = await reopened.journal(task)
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
    expect(records.toSorted(byId)).toEqual(written.map(e => e.event).toSorted(byId))
    const order = records.map(r => parseId(r.id)!.version)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  },

  'the newest turn of each task of a correlation is found, also of those that ended': async world => {
    const driver = await world.owner()
    const correlation = randomUUIDv7()
    expect(await driver.newestTurns(correlation)).toEqual([])
    const expected: string[] = []
    for (let n = 0; n < 5; n++) {
      const task = newTask(correlation)
      for (let version = 0; version <= n; version++)
        await driver.commit({
          ...turn(task, version, { end: version === n && n % 2 === 0 }),
          events: [emitted(task, version + 1, 0)],
        })
      // An event of an older turn is not a turn.
      await driver.publish([entry({ id: `${emitId(task, 1, 0)}:result`, correlationid: correlation })])
      expected.push(turnId(task, n + 1))
    }
    await driver.commit(turn(newTask(), 0))
    const found = await (await world.reopenOwner(driver)).newestTurns(correlation)
    expect(found.map(({ id }) => id).toSorted()).toEqual(expected.toSorted())
  },

  'the newest turn is found of more tasks than a broker answers for at once': async world => {
    const driver = await world.owner()
    const correlation = randomUUIDv7()
    const tasks = Array.from({ length: 1_100 }, () => newTask(correlation))
    await Promise.all(tasks.map(task => driver.commit(turn(task, 0))))
    await driver.commit(turn(tasks[7]!, 1))
    const found = await driver.newestTurns(correlation)
    expect(found.map(({ id }) => id).toSorted()).toEqual(
      tasks.map((task, n) => turnId(task, n === 7 ? 2 : 1)).toSorted(),
    )
  },

  'the journal has the cancellations of a turn, whose ids are those of older calls': async world => {
    const driver = await world.owner()
    const task = newTask()
    const calls = [0, 1].map(n => emitted(task, 1, n))
    await driver.commit(turn(task, 0, { events: calls }))
    await driver.commit(turn(task, 1, { snapshot: 'state' }))
    const cancelled = calls.map(({ event }) => entry({ id: cancelId(event.id), correlationid: correlationOf(task) }))
    const own = turn(task, 2, { events: [emitted(task, 3, 0), ...cancelled, emitted(task, 3, 1)] })
    await driver.commit(own)
    await driver.publish([entry({ id: resultId(calls[0]!.event.id), correlationid: correlationOf(task) })])
    await driver.commit(turn(task, 3))
    const { records } = await (await world.reopenOwner(driver)).journal(task)
    const expected = [turnId(task, 3), ...ids(own.events), turnId(task, 4)]
    expect(records.map(({ id }) => id).toSorted()).toEqual(expected.toSorted())
  },

  'the turn and its events are on the log when the commit resolves, also for another member': async world => {
    const [driver, other] = [await world.owner(), await world.open()]
    const task = newTask()
    const own = turn(task, 0, { events: [emitted(task, 1, 0), emitted(task, 1, 1)] })
    await driver.commit(own)
    expect(ids(await collect(other.read({ task }))).toSorted()).toEqual(ids([own.turn, ...own.events]).toSorted())
    expect(await versions(other, task)).toEqual([1])
    expect(await other.commit(turn(task, 0))).toBe('conflict')
    expect(await driver.commit(turn(task, 1))).toBe('accepted')
  },

  'a version that was decided already is a conflict, also after a restart': async world => {
    const driver = await world.owner()
    const task = newTask()
    await driver.commit(turn(task, 0))
    await driver.commit(turn(task, 1))
    const again = await world.reopenOwner(driver)
    expect(await again.commit(turn(task, 0))).toBe('conflict')
    expect(await again.commit(turn(task, 1))).toBe('conflict')
    expect(await again.commit(turn(task, 2))).toBe('accepted')
    expect(await versions(again, task)).toEqual([1, 2, 3])
  },

  'a version ahead of the head is a conflict': async world => {
    const driver = await world.owner()
    const task = newTask()
    expect(await driver.commit(turn(task, 1))).toBe('conflict')
    await driver.commit(turn(task, 0))
    expect(await driver.commit(turn(task, 5))).toBe('conflict')
    expect(await versions(driver, task)).toEqual([1])
  },

  'of a conflict nothing is written: no turn, no event, no settlement, no wake, no snapshot, no end': async world => {
    const { driver, task, first } = await withInput(world)
    const due = Date.now() + hour
    expect(await driver.commit(turn(task, 0, { wake: due }))).toBe('accepted')
    const winner = (await driver.journal(task)).records
    const head = await driver.head()
    const stray = emitted(task, 1, 0)
    for (const wake of [null, Date.now() + 2 * hour])
      expect(await driver.commit({ ...first, events: [stray, entry()], wake, snapshot: 'loser', end: true })).toBe(
        'conflict',
      )
    expect(await driver.head()).toBe(head)
    expect(await driver.get(stray.event.id, stray.event.correlationid)).toBeUndefined()
    expect(await driver.journal(task)).toEqual({ records: winner })
    expect(await lookUpGroup(driver, 'tasks')).toMatchObject({ lag: 1, inFlight: 1 })
    expect(await collect(driver.missedWakes(due + 3 * hour))).toEqual([{ kind: 'overdue', group: 'tasks', task, due }])
    expect(await driver.commit(turn(task, 1))).toBe('accepted')
  },

  'an input that a lost turn wanted to settle can be settled by a later turn': async world => {
    const { driver, task, first } = await withInput(world)
    await driver.commit(turn(task, 0))
    expect(await driver.commit(first)).toBe('conflict')
    expect(await driver.commit(turn(task, 1, { settle: first.settle }))).toBe('accepted')
    expect(await lookUpGroup(driver, 'tasks')).toMatchObject({ lag: 0, inFlight: 0 })
  },

  'a turn settles its inputs with it, and a restart does not bring them back': async world => {
    const { driver, member, task, first } = await withInput(world)
    await driver.publish([input(task)])
    const second = await until(() => member.deliveries[1])
    const settle = [...first.settle, { delivery: second, outcome: done }]
    expect(await driver.commit({ ...first, settle })).toBe('accepted')
    expect(await lookUpGroup(driver, 'tasks')).toMatchObject({ lag: 0, inFlight: 0 })
    const again = await world.reopen(driver)
    const after = await world.join(again, worker)
    const marker = input(task)
    await again.publish([marker])
    await until(() => after.deliveries.length > 0)
    expect(ids(after.deliveries)).toEqual([marker.event.id])
  },

  'a turn may settle an input with another outcome': async world => {
    const { driver, member, first } = await withInput(world)
    const [{ delivery }] = first.settle as [Commit['settle'][number]]
    await driver.commit({ ...first, settle: [{ delivery, outcome: retry(0, 'once more') }] })
    await until(() => member.deliveries.length === 2)
    expect(member.deliveries[1]).toMatchObject({ attempt: 2, event: delivery.event })
  },

  'settling frees the window of the worker': async world => {
    const driver = await world.open()
    const member = await world.join(driver, { ...worker, maxInFlight: 1 })
    const tasks = [newTask(), newTask(), newTask()]
    await driver.publish(tasks.map(task => input(task)))
    for (const n of tasks.keys()) {
      const delivery = await until(() => member.deliveries[n])
      const { task } = delivery.event.data as { task: string }
      expect(await driver.commit(turn(task, 0, { settle: [{ delivery, outcome: done }] }))).toBe('accepted')
    }
  },

  'events of a turn reach other groups, and those of a lost turn do not': async world => {
    const [driver, other] = [await world.owner(), await world.open()]
    const tools = await world.join(other, {
      group: 'tools',
      filter: [{ types: ['tool.invoke'] }],
      on: () => done,
    })
    const calls = Array.from({ length: 30 }, () => newTask()).map(task => {
      const events = [emitted(task, 1, 0, { type: 'tool.invoke', target: 'search' })]
      return turn(task, 0, { events })
    })
    for (const call of calls) expect(await driver.commit(call)).toBe('accepted')
    const lost = calls.map(({ task }) => turn(task, 0, { events: [emitted(task, 1, 1, { type: 'tool.invoke' })] }))
    for (const call of lost) expect(await driver.commit(call)).toBe('conflict')
    await until(async () => tools.deliveries.length >= 30 && (await lookUpGroup(other, 'tools'))?.lag === 0)
    expect(ids(tools.deliveries).toSorted()).toEqual(ids(calls.flatMap(c => c.events)).toSorted())
    // A reader may see an event before its turn; the turn is there soon.
    for (const { task } of calls) await until(async () => (await versions(other, task)).length === 1)
  },

  'the journal starts at the newest snapshot': async world => {
    const driver = await world.owner()
    const task = newTask()
    const state = JSON.stringify({ text: '漢字 🙂', big: 'x'.repeat(100_000) })
    await driver.commit(turn(task, 0, { snapshot: 'old' }))
    await driver.commit(turn(task, 1, { events: [emitted(task, 2, 0)] }))
    await driver.commit(turn(task, 2, { snapshot: state, events: [emitted(task, 3, 0)] }))
    expect(await driver.journal(task)).toEqual({ snapshot: { version: 3, state }, records: [] })
    await driver.commit(turn(task, 3, { events: [emitted(task, 4, 0)] }))
    await driver.commit(turn(task, 4))
    const { snapshot, records } = await (await world.reopenOwner(driver)).journal(task)
    expect(snapshot).toEqual({ version: 3, state })
    const expected = [turnId(task, 4), emitId(task, 4, 0), turnId(task, 5)]
    expect(records.map(r => r.id).toSorted()).toEqual(expected.toSorted())
  },

  'a task that has ended takes no more turns': async world => {
    const driver = await world.owner()
    const task = newTask()
    await driver.commit(turn(task, 0))
    expect(await driver.commit(turn(task, 1, { end: true }))).toBe('accepted')
    const again = await world.reopenOwner(driver)
    for (const expected of [0, 1, 2]) expect(await again.commit(turn(task, expected))).toBe('conflict')
  },

  'an input of a task that has ended can still be settled': async world => {
    const { driver, member, task, first } = await withInput(world)
    await driver.commit({ ...first, end: true })
    await driver.publish([input(task)])
    const late = await until(() => member.deliveries[1])
    await late.settle(done)
    expect(await lookUpGroup(driver, 'tasks')).toMatchObject({ lag: 0, inFlight: 0 })
  },

  '200 commits of different tasks at once are all accepted': async world => {
    const driver = await world.owner()
    const tasks = Array.from({ length: 200 }, () => newTask())
    const results = await Promise.all(
      tasks.map(task => driver.commit(turn(task, 0, { events: [emitted(task, 1, 0)] }))),
    )
    expect(results.filter(r => r !== 'accepted')).toEqual([])
    expect(await collect(driver.read({ filter: [{ types: ['job.made'] }] }))).toHaveLength(200)
  },

  'a turn from a member that does not own the shard is accepted as a whole, or a conflict': async world => {
    const [owner, stranger] = [await world.owner(), await world.open()]
    for (let n = 0; n < 20; n++) {
      const task = newTask()
      const own = turn(task, 0, { events: [emitted(task, 1, 0)], wake: Date.now() + hour })
      const result = await stranger.commit(own)
      const expected = result === 'accepted' ? ids([own.turn, ...own.events]) : []
      const { records } = await owner.journal(task)
      expect(records.map(({ id }) => id).toSorted()).toEqual(expected.toSorted())
      expect(await owner.commit(turn(task, result === 'accepted' ? 1 : 0))).toBe('accepted')
    }
  },
}
