import { randomUUIDv7 } from 'node:crypto'
import { expect } from 'vitest'
import { collect, until } from '../wait.ts'
import { hour, newTask, turn } from './entries.ts'
import { clearing, letPass, pendingWakes, wakeTimeout, withWorker, woken } from './wakes.ts'
import { worker, type Cases } from './world.ts'

export const wake: Cases = {
  'a task is woken at its time or after it, and not before': async world => {
    const { driver, member } = await withWorker(world)
    const dues = [0, 1, 50, 200, 350].map(ms => ({ task: newTask(), due: Date.now() + ms }))
    for (const { task, due } of dues.toReversed()) await driver.commit(turn(task, 0, { wake: due }))
    await until(() => new Set(member.wakes.map(w => w.task)).size === dues.length)
    for (const { task, due } of dues) {
      const [first] = woken(member, task)
      expect(first).toMatchObject({ due })
      expect(first!.at).toBeGreaterThanOrEqual(due)
      expect(first!.at - due).toBeLessThan(2_000)
    }
  },

  'a later commit replaces the wake-up by a later or an earlier one': async world => {
    const { driver, member } = await withWorker(world)
    const [later, sooner] = [newTask(), newTask()]
    const soon = Date.now() + hour
    const late = soon + hour
    await driver.commit(turn(later, 0, { wake: soon }))
    await driver.commit(turn(sooner, 0, { wake: late }))
    await driver.commit(turn(later, 1, { wake: late }))
    await driver.commit(turn(sooner, 1, { wake: soon }))
    world.clock.advance(hour)
    await until(() => woken(member, sooner).length > 0, wakeTimeout)
    await letPass(world, driver, member)
    expect(new Set(member.wakes.map(w => w.due).filter(due => due >= late))).toEqual(new Set())
    expect(woken(member, later)).toEqual([])
    expect(await pendingWakes(driver)).toEqual([later])
  },

  'a commit without a wake-up clears it, and one with the same keeps it': async world => {
    const { driver, member } = await withWorker(world)
    const [cleared, kept] = [newTask(), newTask()]
    const due = Date.now() + hour
    for (const task of [cleared, kept]) await driver.commit(turn(task, 0, { wake: due }))
    await driver.commit(turn(cleared, 1, { wake: null }))
    await driver.commit(turn(kept, 1, { wake: due }))
    expect(await pendingWakes(driver)).toEqual([kept])
    world.clock.advance(hour)
    await until(() => woken(member, kept).length > 0, wakeTimeout)
    await letPass(world, driver, member)
    expect(woken(member, cleared)).toEqual([])
  },

  'a wake-up survives a restart, and fires at once when it is overdue': async world => {
    const driver = await world.owner()
    const [future, past] = [newTask(), newTask()]
    const due = Date.now() + 300
    await driver.commit(turn(future, 0, { wake: due }))
    await driver.commit(turn(past, 0, { wake: Date.now() - hour }))
    const again = await world.reopen(driver)
    const member = await world.join(again, clearing(again))
    await until(() => woken(member, past).length > 0, wakeTimeout)
    await until(() => woken(member, future).length > 0, wakeTimeout)
    expect(woken(member, future)[0]).toMatchObject({ due })
    expect(woken(member, future)[0]!.at).toBeGreaterThanOrEqual(due)
  },

  'an unanswered wake-up fires again after a restart, and an answered one does not': async world => {
    const driver = await world.open()
    const before = await world.join(driver, worker)
    const [ignored, answered] = [newTask(), newTask()]
    for (const task of [ignored, answered]) await driver.commit(turn(task, 0, { wake: Date.now() }))
    await until(() => woken(before, ignored).length > 0 && woken(before, answered).length > 0)
    await driver.commit(turn(answered, 1, { wake: null }))
    const again = await world.reopen(driver)
    const after = await world.join(again, clearing(again))
    await until(() => woken(after, ignored).length > 0, wakeTimeout)
    await letPass(world, again, after)
    expect(woken(after, answered)).toEqual([])
  },

  'a task that has ended is never woken': async world => {
    const { driver, member } = await withWorker(world)
    const [armed, ending] = [newTask(), newTask()]
    const due = Date.now() + hour
    await driver.commit(turn(armed, 0, { wake: due }))
    await driver.commit(turn(armed, 1, { end: true }))
    await driver.commit(turn(ending, 0, { wake: due, end: true }))
    expect(await pendingWakes(driver)).toEqual([])
    world.clock.advance(hour)
    await letPass(world, driver, member)
    for (const task of [armed, ending]) expect(woken(member, task)).toEqual([])
  },

  'a moment that is farther away than a timer of the language reaches does not fire early': async world => {
    const { driver, member } = await withWorker(world)
    const task = newTask()
    const due = Date.now() + 60 * 24 * hour
    await driver.commit(turn(task, 0, { wake: due }))
    await letPass(world, driver, member)
    expect(woken(member, task)).toEqual([])
    expect(await collect(driver.missedWakes(due + 1))).toEqual([{ kind: 'overdue', group: 'tasks', task, due }])
  },

  'a wake-up that another process sets reaches the owner of the shard': async world => {
    const { driver, member } = await withWorker(world)
    const other = await world.open()
    const task = newTask()
    await driver.commit(turn(task, 0))
    const due = Date.now() + 100
    // A driver may accept turns only from the owner of the shard.
    if ((await other.commit(turn(task, 1, { wake: due }))) === 'conflict') return
    await until(() => woken(member, task).length > 0, wakeTimeout)
    expect(woken(member, task)[0]).toMatchObject({ due })
  },

  'a wake-up set by a member that owns no shard survives the owner of the shard, whatever that did since':
    async world => {
      const [owner, stranger] = [await world.open(), await world.open()]
      await world.join(owner, clearing(owner))
      const correlation = randomUUIDv7()
      const [sleeping, changed] = [newTask(correlation), newTask(correlation)]
      const due = Date.now() + hour
      if ((await stranger.commit(turn(sleeping, 0, { wake: due }))) === 'conflict') return
      await owner.commit(turn(changed, 0))
      await stranger.commit(turn(changed, 1, { wake: due }))
      for (let n = 0; n < 20; n++) await owner.commit(turn(newTask(correlation), 0, { end: n % 2 === 0 }))
      const again = await world.reopen(owner)
      const member = await world.join(again, clearing(again))
      world.clock.advance(hour)
      for (const task of [sleeping, changed]) {
        await until(() => woken(member, task).length > 0, wakeTimeout)
        expect(woken(member, task)[0]).toMatchObject({ due })
      }
    },

  'reading the journal of a task while its shard is taken over does not cancel its wake-up': async world => {
    const driver = await world.owner()
    const tasks = Array.from({ length: 20 }, () => newTask())
    const due = Date.now() + 500
    for (const task of tasks) {
      await driver.commit(turn(task, 0, { wake: due }))
      await driver.commit(turn(task, 1, { wake: due }))
    }
    const again = await world.reopen(driver)
    const joining = world.join(again, clearing(again))
    await Promise.all(tasks.map(task => again.journal(task)))
    const member = await joining
    await Promise.all(tasks.map(task => again.journal(task)))
    await until(() => tasks.every(task => woken(member, task).length > 0), wakeTimeout)
  },

  'when a member leaves, the other serves its wake-ups': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const tasks = Array.from({ length: 60 }, () => newTask())
    const due = Date.now() + 2_000
    const leaving = await world.join(a, clearing(a))
    for (const task of tasks) await a.commit(turn(task, 0, { wake: due }))
    const staying = await world.join(b, clearing(b))
    await world.close(a)
    await until(() => new Set([...leaving.wakes, ...staying.wakes].map(w => w.task)).size === 60, wakeTimeout)
  },

  '5,000 wake-ups fire each': async world => {
    const driver = await world.open()
    const owner = await world.join(driver, worker)
    const tasks = Array.from({ length: 5_000 }, () => newTask())
    for (let n = 0; n < tasks.length; n += 250) {
      const some = tasks.slice(n, n + 250)
      await Promise.all(some.map((task, i) => driver.commit(turn(task, 0, { wake: Date.now() + i }))))
    }
    await owner.consumer.close()
    const member = await world.join(driver, clearing(driver, 1))
    await until(() => new Set(member.wakes.map(w => w.task)).size === 5_000, { within: 90_000 })
    await until(async () => (await pendingWakes(driver)).length === 0)
  },

  'tasks that do not answer delay no other': async world => {
    const driver = await world.open()
    const owner = await world.join(driver, worker)
    const [deaf, answering] = [new Set(Array.from({ length: 1_200 }, () => newTask())), newTask()]
    await Promise.all(Array.from(deaf, task => driver.commit(turn(task, 0, { wake: Date.now() - hour }))))
    await driver.commit(turn(answering, 0, { wake: Date.now() }))
    await owner.consumer.close()
    const member = await world.join(driver, {
      ...worker, onWake: task => void (deaf.has(task) || driver.commit(turn(task, 1)).catch(() => {})),
    }) // biome-ignore format: one row
    await until(() => woken(member, answering).length > 0, wakeTimeout)
    await until(() => new Set(member.wakes.map(w => w.task)).size === deaf.size + 1, wakeTimeout)
  },

  'what is overdue is listed, with its moment, until it is served': async world => {
    const driver = await world.owner()
    const [old, recent, future] = [newTask(), newTask(), newTask()]
    const now = Date.now()
    await driver.commit(turn(old, 0, { wake: now - 2 * hour }))
    await driver.commit(turn(recent, 0, { wake: now - 1_000 }))
    await driver.commit(turn(future, 0, { wake: now + hour }))
    expect(await collect(driver.missedWakes(now - hour))).toEqual([
      { kind: 'overdue', group: 'tasks', task: old, due: now - 2 * hour },
    ])
    const both = await collect(driver.missedWakes(now))
    expect(both.map(o => o.task).toSorted()).toEqual([old, recent].toSorted())
    await driver.commit(turn(old, 1, { wake: null }))
    expect(await collect(driver.missedWakes(now - hour))).toEqual([])
  },
}
