import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openBus } from '../../src/runtime/environment.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeKafka } from '../lib/kafka.ts'
import { openProxy, openTopic } from '../lib/kafka-topics.ts'
import { onAnyBus } from '../lib/world.ts'
import type { TopicsWork } from './lib/topics-worker.ts'

const count = 300

function work(options: TopicsWork) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'lib/topics-worker.ts'), JSON.stringify(options)], {
    stdio: 'ignore',
  })
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  onTestFinished(kill)
  return kill
}

describeKafka('a worker with a trigger and a sink that is killed in the middle of records', () => {
  onAnyBus(world => {
    test('loses none, and makes one event of each', { timeout: 180_000 }, async () => {
      const [from, to, proxy, { place }] = await Promise.all([openTopic(), openTopic(), openProxy(), world()])
      const bus = await openBus(place)
      onTestFinished(() => bus.driver.close())
      const records = (first: number, end: number) =>
        Array.from({ length: end - first }, (_, i) => ({ value: String(first + i) }))
      const notes = async () => (await collect(bus.read({}))).filter(({ event }) => event.type === 'note')
      const options = {
        place,
        read: { url: `kafka://${proxy.bootstrap}`, group: from.group, topic: from.name },
        write: { url: to.url, topic: to.name },
      }
      const kill = work(options)
      await from.produce(...records(0, 10))
      await until(async () => (await from.committed())[0] === 10, { within: 90_000 })
      // From here on the events are on the log, and the offsets are not committed.
      proxy.breakNext('OffsetCommit', 'before', 1_000_000)
      await from.produce(...records(10, 200))
      await until(async () => (await notes()).length >= 100, { within: 60_000 })
      await kill()
      expect(await from.committed()).toEqual([10])
      proxy.heal()
      await from.produce(...records(200, count))
      // The group would wait for the end of the session of the dead member.
      await from.admin.removeMembersFromConsumerGroup({ groupId: from.group })
      work(options)
      await until(async () => (await from.committed())[0] === count, { within: 90_000 })
      const values = (await notes()).map(({ event }) => event.data)
      expect(values).toEqual(Array.from({ length: count }, (_, i) => i))
      await until(async () => (await bus.listGroups()).find(({ group }) => group === 'sink/kafka')?.lag === 0, {
        within: 60_000,
      })
      // A record that was written twice has the same id twice.
      const written = new Map<string, number>()
      for (const { value, headers } of await to.records(await to.end())) written.set(headers.ce_id!, Number(value))
      expect([...written.values()].toSorted((a, b) => a - b)).toEqual(values)
    })
  })
})
