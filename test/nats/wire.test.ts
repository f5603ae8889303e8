import { expect, onTestFinished, test } from 'vitest'
import { createEvent } from '../../src/event.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended, eventsOf } from '../lib/world.ts'
import { double, steps } from './lib/apps.ts'
import { entry, expectStored, open, wire, worker } from './lib/broker.ts'

describeNatsServer('a wire that', () => {
  test('is cut again and again loses nothing that was acknowledged, and applies nothing twice', async () => {
    const { direct, proxy, url } = await wire()
    const running = await worker(url, [steps, double], { only: ['agents', 'tools'] })
    const log = await open(direct)
    const notes: string[] = []
    const started: { correlationid: string; id: string }[] = []
    let stop = false
    onTestFinished(() => void (stop = true))
    const publisher = async (send: () => Promise<void>) => {
      while (!stop) await send().catch(() => {})
    }
    const publishing = Promise.all([
      publisher(async () => {
        const batch = [entry(), entry(), entry()]
        await running.bus.driver.publish(batch)
        notes.push(...batch.map(({ event }) => event.id))
      }),
      publisher(async () => {
        const event = createEvent({ type: 'go', data: 1 })
        if (started.length >= 60) return void (await until(() => stop))
        // Sent again under its id until it is known that it is there.
        await until(() => running.bus.publish(event).catch(() => false), { within: 10_000 })
        started.push(event)
      }),
    ])
    for (let cuts = 0; cuts < 12; cuts++) {
      const before = notes.length
      await until(() => notes.length > before + 15, { within: 10_000 })
      proxy.cut()
    }
    await until(() => started.length >= 60, { within: 15_000 })
    stop = true
    await publishing
    for (const { correlationid, id } of started) {
      expect(await ended({ bus: running.bus }, correlationid, id, 20_000)).toMatchObject({ data: { output: 32 } })
      const events = await eventsOf(running, correlationid)
      const count = (type: string) => events.filter(event => event.type === type).length
      expect([count('tool.invoke'), count('agent.task.completed'), count('task.turn')]).toEqual([5, 1, 6])
    }
    await expectStored(log, notes)
  })

  test('is cut in the middle of commits forks no task', async () => {
    const { proxy, url } = await wire()
    const driver = await open(url)
    const { correlationid } = entry().event
    const task = `${correlationid}.0123456789abcdef`
    let stop = false
    onTestFinished(() => void (stop = true))
    const versions: number[] = []
    const deciding = (async () => {
      for (let expected = 0; !stop; ) {
        const turn = entry({ type: 'task.turn', id: `${task}:${String(expected + 1).padStart(7, '0')}`, correlationid })
        const events = [entry({ correlationid })]
        const commit = { group: 'group', task, expect: expected, turn, events, settle: [], wake: null }
        const result = await driver.commit(commit).catch(() => undefined)
        if (result === 'accepted') versions.push(++expected)
        // Not known, or its own turn of which it had not heard: the journal tells.
        else expected = await until(async () => ({ at: await turnsOf() })).then(({ at }) => at)
      }
    })()
    const turnsOf = async () => (await driver.journal(task)).records.filter(({ type }) => type === 'task.turn').length
    for (let cuts = 0; cuts < 15; cuts++) {
      const before = versions.length
      await until(() => versions.length > before + 3, { within: 10_000 })
      proxy.cut()
    }
    stop = true
    await deciding
    const { records } = await driver.journal(task)
    const turns = records.filter(({ type }) => type === 'task.turn').map(({ id }) => Number(id.split(':')[1]))
    expect(turns).toEqual(Array.from({ length: turns.length }, (_, i) => i + 1))
    expect(versions.every(version => version <= turns.length)).toBe(true)
    await expectStored(
      driver,
      records.map(({ id }) => id),
    )
  })

  test('holds everything back for a moment only is not noticed', async () => {
    const { proxy, url } = await wire()
    const running = await worker(url, [steps, double], { only: ['agents', 'tools'] })
    const { correlationid, id } = await running.bus.publish({ type: 'go', data: 1 })
    proxy.freeze()
    const waiting = running.bus.publish({ type: 'note', data: null })
    await new Promise(resolve => setImmediate(resolve))
    proxy.thaw()
    await waiting
    expect(await ended(running, correlationid, id)).toMatchObject({ data: { output: 32 } })
  })
})
