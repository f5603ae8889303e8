import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { resultId } from '../../src/bus/ids.ts'
import type { Commit } from '../../src/bus/driver.ts'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import type { NatsLog } from '../../src/drivers/nats/nats-log.ts'
import { provision } from '../../src/drivers/nats/provision.ts'
import { msgId } from '../../src/drivers/nats/stream.ts'
import { turnHeaders } from '../../src/drivers/nats/turns.ts'
import { emitted, entry, newTask, turn } from '../../src/testing/conformance/entries.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { group, owner } from './lib/owner.ts'

/* A shard whose owners are killed again and again, each while it reads the log for the first time. */

async function shard() {
  const connection = await openConnection(parseAddress(`${natsUrl()}/v${randomUUID()}`), 10_000)
  onTestFinished(() => connection.close())
  const log = await provision(connection, { shards: 1, replicas: 1 })
  const open = (diesAfter?: number) => owner(connection, log, diesAfter === undefined ? {} : { diesAfter })
  return { log, open }
}

/** Stores a turn and those of its events that its writer came to publish. */
async function store(log: NatsLog, commit: Commit, published = commit.events): Promise<void> {
  const { task, expect, events, wake, end } = commit
  const headers = {
    [turnHeaders.group]: group,
    [turnHeaders.version]: expect + 1,
    [turnHeaders.by]: randomUUID(),
    [turnHeaders.wake]: wake ?? 'none',
    [turnHeaders.origin]: 1,
    ...(events.length > 0 && { [turnHeaders.events]: events.length }),
    ...(end && { [turnHeaders.end]: 1 }),
  }
  const lines = [commit.turn.json, ...events.map(({ json }) => json)]
  const stored = [log.streamOfShard(0).append(log.names.turn(task), lines.join('\n'), headers)]
  for (const { event, json } of published)
    stored.push(log.streamOfShard(0).append(log.names.event(event), json, { [msgId]: event.id }))
  await Promise.all(stored)
}

/** Tasks that wait for a time, and others that answered a caller and ended: four messages each two. */
async function fill(log: NatsLog, tasks: number): Promise<Map<string, number>> {
  const wakes = new Map<string, number>()
  for (let i = 0; i < tasks; i += 100) {
    const storing: Promise<void>[] = []
    for (let n = i; n < i + 100; n++) {
      const task = newTask()
      const answer = entry({ id: resultId(randomUUID()), correlationid: task.slice(0, 36) })
      if (n % 2 === 0) wakes.set(task, 1_000 + n)
      storing.push(store(log, turn(task, 0, n % 2 === 0 ? { wake: 1_000 + n, events: [emitted(task, 1, 0)] } : { end: true, events: [answer] }))) // biome-ignore format: one row
    }
    await Promise.all(storing)
  }
  return wakes
}

describeNats('a shard whose owners die while they read it', () => {
  it('is read on by each next owner, and then wakes all and repairs all', { timeout: 60_000 }, async () => {
    const { log, open } = await shard()
    // Killed after its first call, which was answered.
    const halved = newTask()
    const calls = [emitted(halved, 1, 0), emitted(halved, 1, 1)] as const
    await store(log, turn(halved, 0, { wake: 7, events: calls }), [calls[0]])
    const answer = entry({ id: resultId(calls[0].event.id), correlationid: halved.slice(0, 36) })
    await log.streamOfShard(0).append(log.names.event(answer.event), answer.json, { [msgId]: answer.event.id })
    const wakes = await fill(log, 4_500)
    // Moves on when most owners have passed its first turn.
    const [first, ...others] = wakes.keys()
    await store(log, turn(first!, 1, { wake: 3 }))
    await store(log, turn(others[0]!, 1, { end: true }))
    wakes.set(halved, 7).set(first!, 3).delete(others[0]!)

    let owners = 0
    for (let isRead = false; !isRead; ) {
      expect(++owners).toBeLessThan(8)
      const each = open(2_500)
      isRead = await each.owned.read(each.turns).then(
        () => true,
        (error: unknown) => {
          if (!each.dead) throw error
          return false
        },
      )
      if (isRead) expect(new Map([...each.owned.live].map(([task, { wake }]) => [task, wake]))).toEqual(wakes)
    }
    expect(owners).toBeGreaterThan(3)
    const ids: string[] = []
    for await (const { subject, header } of log.streamOfShard(0).scan())
      if (subject.includes('.e.') && header(msgId).startsWith(halved)) ids.push(header(msgId))
    expect(ids).toEqual([calls[0].event.id, answer.event.id, calls[1].event.id])
  })
})
