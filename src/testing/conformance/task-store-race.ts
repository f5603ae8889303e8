import { setImmediate as breath } from 'node:timers/promises'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Driver } from '../../bus/driver.ts'
import { correlationOf, parseId } from '../../bus/ids.ts'
import { collect, until } from '../wait.ts'
import { done, emitted, input, newTask, turn } from './entries.ts'
import { worker, type Cases } from './world.ts'

/** The member that decided each version, by the name in the emitted event. */
async function deciders(driver: Driver, task: string): Promise<string[]> {
  const { records } = await driver.journal(task)
  const turns = records.filter(r => r.type === 'task.turn').map(r => parseId(r.id)!.version)
  expect(turns).toEqual(turns.map((_, n) => n + 1))
  const emits = records.filter(r => r.type === 'job.decided')
  expect(emits.map(r => parseId(r.id)!.version)).toEqual(turns)
  return emits.map(r => r.data as string)
}

/** Every candidate emits under its own ordinal, so that two accepted turns would both be visible. */
const candidate = (task: string, expect: number, who: number, name = `${who}`) =>
  turn(task, expect, { events: [emitted(task, expect + 1, who, { type: 'job.decided', data: name })] })

export const race: Cases = {
  'of two members that decide the same version, 200 times, exactly one wins': async world => {
    const members = [await world.owner(), await world.open()]
    const task = newTask()
    const winners: string[] = []
    for (let version = 0; version < 200; version++) {
      const order = version % 2 ? [0, 1] : [1, 0]
      const results = await Promise.all(order.map(who => members[who]!.commit(candidate(task, version, who))))
      expect(results.toSorted()).toEqual(['accepted', 'conflict'])
      winners.push(`${order[results.indexOf('accepted')]}`)
    }
    for (const member of members) expect(await deciders(member, task)).toEqual(winners)
  },

  'of two turns that one member commits for the same version, exactly one wins': async world => {
    const driver = await world.owner()
    const task = newTask()
    for (let version = 0; version < 20; version++) {
      const results = await Promise.all([0, 1, 2].map(who => driver.commit(candidate(task, version, who))))
      expect(results.toSorted()).toEqual(['accepted', 'conflict', 'conflict'])
    }
    expect(await deciders(driver, task)).toHaveLength(20)
  },

  'two workers of a group never both commit a version, whichever owns the shard': async world => {
    const members = [await world.open(), await world.open()]
    for (const member of members) await world.join(member, worker)
    const tasks = Array.from({ length: 20 }, () => newTask())
    for (const task of tasks)
      for (let version = 0; version < 5; version++) {
        const results = await Promise.all([0, 1].map(who => members[who]!.commit(candidate(task, version, who))))
        expect(results.filter(r => r === 'accepted').length).toBeLessThanOrEqual(1)
        if (!results.includes('accepted')) break
      }
    for (const task of tasks) await deciders(members[0]!, task)
  },

  'of two events that two members publish under one id, decided is the one that the log keeps': async world => {
    const members = [await world.open(), await world.open()]
    await world.join(members[0]!, {
      ...worker,
      maxInFlight: 200,
      on: async delivery => {
        const { task, from } = delivery.event.data as { task: string; from: number }
        const events = [emitted(task, 1, 0, { type: 'job.decided', data: from })]
        await members[0]!.commit(turn(task, 0, { events, settle: [{ delivery, outcome: done }] }))
        return undefined
      },
    })
    const tasks = Array.from({ length: 100 }, () => newTask())
    for (const [n, task] of tasks.entries()) {
      const order = n % 2 ? [0, 1] : [1, 0]
      await Promise.all(order.map(who => members[who]!.publish([input(task, { id: task, data: { task, from: who } })])))
    }
    for (const task of tasks) {
      const kept = (await members[0]!.get(task, correlationOf(task)))!.event.data as { from: number }
      const decided = await until(async () =>
        (await members[0]!.journal(task)).records.find(r => r.type === 'job.decided'),
      )
      expect(decided.data).toBe(kept.from)
    }
  },

  'however stale deciders interleave, the versions of a task never fork': async world => {
    const members = [await world.owner(), await world.open()]
    const step = fc.record({ task: fc.nat(1), breaths: fc.nat(3), reread: fc.boolean() })
    const script = fc.array(step, { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(fc.tuple(script, script, script), async scripts => {
        const tasks = [newTask(), newTask()]
        const accepted: string[][] = [[], []]
        const decide = async (steps: (typeof scripts)[number], who: number) => {
          const driver = members[who % 2]!
          const seen = [0, 0]
          for (const [n, { task, breaths, reread }] of steps.entries()) {
            for (let i = 0; i < breaths; i++) await breath()
            if (reread) seen[task] = (await deciders(driver, tasks[task]!)).length
            const name = `${who}.${n}`
            const result = await driver.commit(candidate(tasks[task]!, seen[task]!, who, name))
            if (result === 'accepted') accepted[task]![seen[task]!++] = name
          }
        }
        await Promise.all(scripts.map(decide))
        for (const [n, task] of tasks.entries()) {
          const recorded = await deciders(members[n]!, task)
          expect(recorded).toEqual(accepted[n])
          expect(await collect(members[n]!.read({ task }))).toHaveLength(recorded.length * 2)
        }
      }),
      { numRuns: 40 },
    )
  },
}
