import { expect, test } from 'vitest'
import { taskId, turnId } from '../../src/bus/ids.ts'
import { agent } from '../../src/agents/agent.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ask } from '../lib/world.ts'
import { entry, open, server, worker } from './lib/broker.ts'

const maxPayload = 64 * 1024

describeNatsServer('a server with a small max_payload', () => {
  test('refuses a larger event, alone or among others, with what to do next', async () => {
    const driver = await open((await server({ maxPayload })).url)
    const large = entry({ data: 'é'.repeat(maxPayload) })
    for (const sent of [[large], [entry(), large]])
      await expect(driver.publish(sent)).rejects.toMatchObject({
        code: 'E_EVENT_TOO_LARGE',
        retryable: false,
        message: expect.stringMatching(/server accepts at most 65536 \(max_payload\)/),
        next: expect.stringMatching(/blob/),
      })
    expect(await driver.head()).toBe('0')
    await driver.publish([entry({ data: 'x'.repeat(maxPayload - 2_048) })])
  })

  test('takes blobs of any size', async () => {
    const driver = await open((await server({ maxPayload })).url)
    const bytes = crypto.getRandomValues(new Uint8Array(60_000))
    for (const times of [1, 2, 20]) {
      const blob = Buffer.concat(Array.from({ length: times }, () => bytes))
      expect(Buffer.compare((await driver.blobs!.get('t', await driver.blobs!.put('t', blob)))!, blob)).toBe(0)
    }
  })

  test('takes turns that are larger by a blob: a task is resumed from it, and readers see it', async () => {
    const driver = await open((await server({ maxPayload })).url)
    const { correlationid, id } = entry().event
    const task = taskId(correlationid, 'program', id)
    const inputs = Array.from({ length: 20 }, () => entry({ correlationid, data: 'x'.repeat(7_000) }).event)
    const turn = entry({ type: 'task.turn', id: turnId(task, 1), correlationid, data: { inputs } })
    const events = Array.from({ length: 12 }, () => entry({ correlationid, data: 'y'.repeat(7_000) }))
    const more = { group: 'group', task, settle: [], wake: null }
    expect(await driver.commit({ ...more, expect: 0, turn, events })).toBe('accepted')
    const { records } = await driver.journal(task)
    expect(records).toEqual([turn.event, ...events.map(({ event }) => event)])
    const [first] = await Array.fromAsync(driver.read({ task }))
    expect(first!.event).toEqual(turn.event)
    expect(await driver.readAt([first!.position])).toEqual([{ position: first!.position, event: first!.event }])
    for await (const followed of driver.follow('0', undefined, new AbortController().signal)) {
      expect(followed).toEqual(first)
      break
    }
    const second = entry({ type: 'task.turn', id: turnId(task, 2), correlationid })
    const state = 's'.repeat(200_000)
    expect(await driver.commit({ ...more, expect: 1, turn: second, events: [], snapshot: state })).toBe('accepted')
    expect(await driver.journal(task)).toMatchObject({ snapshot: { version: 2, state }, records: [] })
  })

  test('runs agents whose data is larger', async () => {
    const echo = agent('echo', { on: 'go', run: ctx => ctx.event.data })
    const running = await worker((await server({ maxPayload })).url, [echo], { only: ['agents'] })
    const data = 'z'.repeat(300_000)
    const end = await running.bus.resolve(await ask(running, { type: 'go', data }))
    expect(end.data).toMatchObject({ output: data })
  })
})
