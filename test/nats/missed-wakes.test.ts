import { expect, it } from 'vitest'
import { startNats } from '../../src/testing/nats/start.ts'
import { entry, newTask, turn } from '../../src/testing/conformance/entries.ts'
import { collect } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { open } from './lib/broker.ts'

const tasks = 32
const turnBytes = 128 * 1024

describeNatsServer('what needs attention', () => {
  it.each([1, 3])('with partitions=%i is found by the headers of turns, without their data', async partitions => {
    await using server = await startNats()
    const driver = await open(server.url, { partitions })
    const due = Date.now() - 60_000
    const late: string[] = []
    for (let n = 0; n < tasks; n++) {
      const task = newTask()
      const { turn: record, ...commit } = turn(task, 0, { wake: n % 2 === 0 ? due : due + 3_600_000 })
      const { id, correlationid } = record.event
      const large = entry({ id, correlationid, type: 'task.turn', data: 'x'.repeat(turnBytes) })
      await driver.commit({ ...commit, turn: large })
      if (n % 2 === 0) late.push(task)
    }
    const sent = async () => {
      const { out_bytes } = (await (await fetch(`${server.monitorUrl}/varz`)).json()) as { out_bytes: number }
      return out_bytes
    }
    const before = await sent()
    const found = await collect(driver.missedWakes(Date.now()))
    expect(new Set(found)).toEqual(new Set(late.map(task => ({ kind: 'overdue', group: 'tasks', task, due }))))
    expect((await sent()) - before).toBeLessThan(turnBytes)
  })
})
