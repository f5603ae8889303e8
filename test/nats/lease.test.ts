import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import { correlationOf, shardOf } from '../../src/bus/ids.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { newTask, turn } from '../../src/testing/conformance/entries.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { server } from './lib/broker.ts'

const leaseMs = 1_000
/** Each is a request while a shard is read: on the slow wire they take several leases. */
const announcements = 60
const delayMs = 20

describeNatsServer('a lease', () => {
  it.each([1, 3])(
    'is kept while the reading of a shard takes longer: partitions=%i',
    { timeout: 60_000 },
    async partitions => {
      const { url, port } = await server()
      const before = await openNats({ url: `${url}/log`, shards: partitions, partitions })
      onTestFinished(() => before.close())
      const nc = await connect({ servers: `127.0.0.1:${port}` })
      onTestFinished(() => nc.close())
      // The last shard, which is alone in the last partition.
      const shard = partitions - 1
      const due = taskIn(shard, partitions)
      await before.commit({ ...turn(due, 0, { wake: Date.now() }), group: 'tasks' })
      for (let i = 0; i < announcements; i++) {
        const task = taskIn(shard, partitions)
        await before.commit({ ...turn(task, 0), group: 'tasks' })
        await nc.request(`log.s.foreign.tasks.${shard}.${i}`, JSON.stringify({ task }))
      }

      const slow = await openNats({ url: `nats://127.0.0.1:${await slowWire(port)}/log`, leaseMs })
      onTestFinished(() => slow.close())
      const woken: string[] = []
      const lost: number[] = []
      await slow.subscribe({
        group: 'tasks',
        mode: 'sharded',
        filter: [{ types: ['task.input'] }],
        maxInFlight: 8,
        from: 'now',
        onDelivery() {},
        onWake: task => woken.push(task),
        onLost: shard => lost.push(shard),
      })
      const { streams } = await jetstreamManager(nc)
      const member = async () => {
        const { state } = await streams.info('log_state', { subjects_filter: 'log.s.member.tasks.*' })
        const [subject] = Object.keys(state.subjects ?? {})
        const last = subject && (await streams.getMessage('log_state', { last_by_subj: subject }))
        return last ? last.data.length : 0
      }
      await until(member)
      let vanished = 0
      await until(
        async () => {
          if ((await member()) === 0) vanished++
          return woken.includes(due)
        },
        { within: 25_000 },
      )
      expect({ vanished, lost }).toEqual({ vanished: 0, lost: [] })
    },
  )
})

function taskIn(shard: number, shards: number): string {
  for (;;) {
    const task = newTask()
    if (shardOf(correlationOf(task), shards) === shard) return task
  }
}

/** A wire to the server on which every byte is under way for a while. */
async function slowWire(port: number): Promise<number> {
  const sockets = new Set<Socket>()
  const wire = createServer({ noDelay: true }, client => {
    const upstream = dial({ port, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('data', bytes => void setTimeout(() => to.write(bytes), delayMs))
      from.on('close', () => to.destroy())
      from.on('error', () => {})
    }
  })
  await once(wire.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    wire.close()
  })
  return (wire.address() as AddressInfo).port
}
