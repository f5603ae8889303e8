import { connect, headers } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import { correlationOf, shardOf } from '../../src/bus/ids.ts'
import { emitted, newTask, turn } from '../../src/testing/conformance/entries.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { open, server } from './lib/broker.ts'

/* A shard goes from one owner to the next while the one before, or a server, is in the middle of something. */

describeNatsServer('the owner of a shard', () => {
  it.each([1, 3])(
    'with partitions=%i reads a wake-up that another process stored during the take-over without notifying it',
    async partitions => {
      const { url, port } = await server()
      const driver = await open(url, { partitions })
      const woken: string[] = []
      const wish = {
        group: 'tasks',
        mode: 'sharded',
        filter: [{ types: ['task.input'] }],
        maxInFlight: 8,
        from: 'now',
      } as const
      await driver.subscribe({ ...wish, onDelivery() {}, onWake: task => woken.push(task) })
      const known = newTask()
      await driver.commit(turn(known, 0, { wake: Date.now() }))
      await until(() => woken.includes(known))

      const task = newTask()
      const event = emitted(task, 1, 0)
      const { turn: record } = turn(task, 0)
      const nc = await connect({ servers: `127.0.0.1:${port}` })
      onTestFinished(() => nc.close())
      const about = headers()
      const fields = { Group: 'tasks', Version: '1', Wake: `${Date.now()}`, By: crypto.randomUUID(), Events: '1' }
      for (const [name, value] of Object.entries(fields)) about.set(`Tidings-${name}`, value)
      const shard = shardOf(correlationOf(task), driver.shards)
      await nc.request(`log.t.${shard}.${task}`, [record.json, event.json].join('\n'), {
        headers: about,
        timeout: 5_000,
      })

      await until(() => woken.includes(task), { within: 10_000 })
      expect(await driver.get(event.event.id, event.event.correlationid)).toMatchObject({
        event: { id: event.event.id },
      })
    },
  )
})
