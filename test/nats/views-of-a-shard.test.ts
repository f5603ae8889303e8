import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import { provision } from '../../src/drivers/nats/provision.ts'
import { emitted, newTask, turn } from '../../src/testing/conformance/entries.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { owner, type Owner } from './lib/owner.ts'

/* What the owner of a shard relies on when a view of the log is older than what it knows, one order of events at a time. */

async function shard() {
  const connection = await openConnection(parseAddress(`${natsUrl()}/v${randomUUID()}`), 10_000)
  onTestFinished(() => connection.close())
  const log = await provision(connection, { shards: 1, replicas: 1 })
  return (step?: (what: string) => Promise<void>) => owner(connection, log, step && { step })
}

/** Stops at the first request of this kind, until it is opened. */
function gate(at: string) {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const step = (what: string) => {
    if (what !== at) return Promise.resolve()
    reached.resolve()
    return opened.promise
  }
  return { step, reached: reached.promise, open: () => opened.resolve() }
}

async function commit({ owned, turns }: Owner, decided: Parameters<typeof turns.commit>[0]) {
  const view = owned.openView()
  const accepted = await turns.commit(decided, () => false)
  owned.turnStored(decided.task, accepted!, view)
  owned.closeView(view)
}

const wakes = ({ owned }: Owner) => new Map([...owned.live].map(([task, { wake }]) => [task, wake]))

async function wakesOf(next: Owner) {
  await next.owned.read(next.turns)
  return wakes(next)
}

describeNats('a view of a shard', () => {
  it('that is older than the end of a task does not bring it back', async () => {
    const open = await shard()
    const task = newTask()
    await open().turns.commit(turn(task, 0, { wake: 5 }), () => false)
    const { step, reached, ...view } = gate('state.scan')
    const worker = open(step)
    const reading = worker.owned.read(worker.turns)
    await reached
    await commit(worker, turn(task, 1, { end: true }))
    view.open()
    await reading
    expect(wakes(worker)).toEqual(new Map())
    expect(worker.armed).toEqual([])
  })

  it('by which what is known is compared does not bring an ended task back', async () => {
    const open = await shard()
    const task = newTask()
    await open().turns.commit(turn(task, 0, { wake: 5, events: [emitted(task, 1, 0)] }), () => false)
    const { step, reached, ...view } = gate('events.find')
    const worker = open(step)
    const comparing = worker.owned.compare(worker.turns)
    await reached
    await commit(worker, turn(task, 1, { end: true }))
    view.open()
    await comparing
    expect(wakes(worker)).toEqual(new Map())
    expect(worker.armed).toEqual([])
  })

  it('that is written down does not cover a turn whose answer is still under way', async () => {
    const open = await shard()
    const [waiting, other] = [newTask(), newTask()]
    const worker = open()
    await worker.turns.commit(turn(waiting, 0, { wake: 5 }), () => false)
    await worker.owned.read(worker.turns)
    // Killed before the answer of the server reaches it.
    worker.owned.openView()
    await worker.turns.commit(turn(waiting, 1, { wake: 9 }), () => false)
    await commit(worker, turn(other, 0, { wake: 7 }))
    await worker.owned.save(true)
    expect(await wakesOf(open())).toEqual(new Map([[waiting, 9], [other, 7]])) // biome-ignore format: one row
  })

  it('is not written down by an owner whose shard was taken over', async () => {
    const open = await shard()
    const [waiting, other] = [newTask(), newTask()]
    const before = open()
    await before.turns.commit(turn(waiting, 0, { wake: 5 }), () => false)
    await before.owned.read(before.turns)
    await before.owned.save(true)
    const after = open()
    await after.owned.read(after.turns)
    await commit(after, turn(waiting, 1, { wake: 9 }))
    await commit(before, turn(other, 0, { wake: 7 }))
    await before.owned.save(true)
    expect(await wakesOf(open())).toEqual(new Map([[waiting, 9], [other, 7]])) // biome-ignore format: one row
  })

  it('that covers a turn need not look for its events again, also when its task has ended', async () => {
    const open = await shard()
    const task = newTask()
    await open().turns.commit(turn(task, 0, { end: true, events: [emitted(task, 1, 0)] }), () => false)
    const steps: string[] = []
    const { owned, turns } = open(async what => void steps.push(what))
    await owned.read(turns)
    steps.length = 0
    const { records } = await turns.journal(task, newest => owned.repairOf(newest))
    expect(records).toHaveLength(2)
    expect(steps).toEqual(['events.last'])
  })
})
