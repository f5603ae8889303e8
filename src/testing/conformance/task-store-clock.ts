import { randomUUIDv7 } from 'node:crypto'
import { expect } from 'vitest'
import type { Commit } from '../../bus/driver.ts'
import { collect, until } from '../wait.ts'
import { done, hour, input, newTask, retry, turn } from './entries.ts'
import { lookUpGroup } from './groups.ts'
import { letPass, wakeTimeout, withWorker, woken } from './wakes.ts'
import { worker, type Cases, type MemberOptions } from './world.ts'

/* The wall clock is set, or the machine sleeps. All members run on this machine. */

const day = 24 * hour

export const clock: Cases = {
  'what is overdue after the clock was put forward is woken at once, and nothing else': async world => {
    const { driver, member } = await withWorker(world)
    const dues = [hour / 2, 2 * hour, 20 * hour, 30 * hour].map(ms => ({
      task: newTask(),
      due: world.clock.now() + ms,
    }))
    for (const { task, due } of dues) await driver.commit(turn(task, 0, { wake: due }))
    for (const [jump, expected] of [
      [hour, 1],
      [day, 3],
    ] as const) {
      world.clock.advance(jump)
      const before = performance.now()
      await until(() => new Set(member.wakes.map(w => w.task)).size === expected, wakeTimeout)
      expect(performance.now() - before).toBeLessThan(10_000)
      await letPass(world, driver, member)
      for (const { task, due } of dues.slice(0, expected))
        expect(woken(member, task)[0]!.at).toBeGreaterThanOrEqual(due)
      for (const { task } of dues.slice(expected)) expect(woken(member, task)).toEqual([])
      member.wakes.splice(0, Infinity, ...member.wakes.filter(w => dues.some(({ task }) => task === w.task)))
    }
  },

  'after the clock was put back nothing is woken early, and all is woken when it has come that far again':
    async world => {
      const { driver, member } = await withWorker(world)
      const later = newTask()
      await driver.commit(turn(later, 0, { wake: world.clock.now() + day }))
      let soon: string
      let due: number
      // On a busy machine the first one may be due before the clock is put back.
      for (let ms = 600; ; ms *= 2) {
        soon = newTask()
        due = world.clock.now() + ms
        await driver.commit(turn(soon, 0, { wake: due }))
        if (world.clock.now() < due - ms / 4) break
      }
      // The clock is always behind: a driver reads it at any moment, perhaps on another thread.
      for (const jump of [hour, day]) {
        world.clock.advance(-jump)
        await letPass(world, driver, member)
        await letPass(world, driver, member)
        expect(woken(member, soon)).toEqual([])
      }
      world.clock.advance(hour + day)
      await until(() => woken(member, soon).length > 0, wakeTimeout)
      expect(woken(member, soon)[0]!.at).toBeGreaterThanOrEqual(due)
      expect(woken(member, later)).toEqual([])
    },

  'a wake-up that was answered is not repeated when the clock passes its moment again': async world => {
    const { driver, member } = await withWorker(world)
    const task = newTask()
    await driver.commit(turn(task, 0, { wake: world.clock.now() }))
    await until(() => woken(member, task).length > 0, wakeTimeout)
    await until(async () => (await collect(driver.missedWakes(world.clock.now() + day))).length === 0)
    const times = woken(member, task).length
    for (const jump of [-day, day]) {
      world.clock.advance(jump)
      await driver.commit(turn(newTask(), 0, { wake: world.clock.now() }))
      await letPass(world, driver, member)
    }
    expect(woken(member, task)).toHaveLength(times)
  },

  'one that was not answered is called again soon, where the clock was put back and it is still due': async world => {
    const { driver, member } = await withWorker(world, { onWake: () => {} })
    const task = newTask()
    await driver.commit(turn(task, 0, { wake: world.clock.now() - 2 * day }))
    await until(() => woken(member, task).length > 0, wakeTimeout)
    world.clock.advance(-day)
    const times = woken(member, task).length
    await until(() => woken(member, task).length > times + 1, wakeTimeout)
  },

  'a pause between attempts stays as it is when the clock is put back': async world => {
    const { driver } = await withWorker(world)
    const member = await world.join(driver, {
      ...worker, group: 'others', on: ({ attempt }) => (attempt === 1 ? retry(1_200) : done),
    }) // biome-ignore format: one row
    await driver.publish([input(newTask())])
    await until(() => member.deliveries.length === 1, wakeTimeout)
    await until(async () => (await lookUpGroup(driver, 'others'))?.inFlight === 0)
    world.clock.advance(-day)
    await until(() => member.deliveries.length === 2, wakeTimeout)
  },

  'members continue, whichever way the clock is set': async world => {
    const received = new Set<string>()
    const options: Partial<MemberOptions> = { on: ({ event }) => (received.add(event.id), done) }
    const { driver, member } = await withWorker(world, options)
    const { driver: second, member: other } = await withWorker(world, options)
    // A driver may accept turns only from the owner of the shard.
    const isAccepted = async (own: Commit) =>
      (await driver.commit(own)) === 'accepted' || (await second.commit(own)) === 'accepted'
    for (const jump of [day, -2 * day, day]) {
      world.clock.advance(jump)
      const tasks = Array.from({ length: 40 }, () => newTask(randomUUIDv7()))
      const inputs = tasks.map(task => input(task))
      const due = world.clock.now() + 300
      for (const task of tasks) await until(() => isAccepted(turn(task, 0, { wake: due })), wakeTimeout)
      await driver.publish(inputs)
      await until(() => inputs.every(({ event }) => received.has(event.id)), wakeTimeout)
      await until(() => tasks.every(task => woken(member, task).length + woken(other, task).length > 0), wakeTimeout)
    }
  },
}
