import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { createEvent } from '../../src/event.ts'
import { startProxy } from '../../src/testing/tcp-proxy.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended, eventsOf } from '../lib/world.ts'
import { entry, expectStored, isUp, open, server, worker } from './lib/broker.ts'

/* The wire between a worker and its server is cut, or holds everything back. */

async function wire() {
  const { url, port } = await server()
  const proxy = await startProxy({ port })
  onTestFinished(() => proxy.stop())
  return { direct: url, proxy, url: `nats://127.0.0.1:${proxy.port}` }
}

const double = tool('double', { description: 'Doubles.', input: z.number(), run: n => n * 2 })
const steps = agent('steps', {
  on: 'go',
  run: async ctx => {
    let n = ctx.event.data as number
    for (let i = 0; i < 5; i++) n = await ctx.call(double, n)
    return n
  },
})

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
        const commit = { group: 'group', task, expect: expected, turn, events, settle: [] }
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

  test('holds everything back is found out, and publishers hear of it in time', async () => {
    const { direct, proxy, url } = await wire()
    const running = await worker(url, [steps, double])
    const log = await open(direct)
    await isUp(running)
    const sent = entry()
    proxy.freeze()
    const began = performance.now()
    await expect(running.bus.driver.publish([sent])).rejects.toMatchObject({
      code: 'E_LOG_UNANSWERED',
      retryable: true,
    })
    expect(performance.now() - began).toBeLessThan(5_000)
    const { status, body } = await running.health()
    expect([status, body.error.code]).toEqual([503, expect.stringMatching(/^E_LOG_UN/)])
    // Two pings of the client without an answer.
    await until(() => running.bus.driver.problem, { within: 16_000 })
    proxy.thaw()
    await isUp(running)
    await running.bus.driver.publish([sent])
    await expectStored(log, [sent.event.id])
    const { correlationid, id } = await running.bus.publish({ type: 'go', data: 1 })
    expect(await ended(running, correlationid, id, 20_000)).toMatchObject({ data: { output: 32 } })
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
