import { randomUUID } from 'node:crypto'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import { openNats } from '../../src/drivers/nats/index.ts'
import { createEvent } from '../../src/event.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'

/** Whoever may publish on the server may publish anything, past every edge of Tidings. */
const malformed = ['not json', '{}', 'null', '{"specversion":"1.0","id":"x","type":"job.made"}', '']

describeNats('what is no event', () => {
  it.each([1, 3])('with partitions=%i goes to the attention list, and later ones are served', async partitions => {
    const log = `malformed-${randomUUID()}`
    const driver = await openNats({ url: `${natsUrl()}/${log}`, partitions })
    onTestFinished(() => driver.close())
    const served: Record<string, string[]> = { shared: [], sharded: [] }
    for (const mode of ['shared', 'sharded'] as const)
      await driver.subscribe({
        group: mode,
        mode,
        filter: [{ types: ['job.made'] }],
        maxInFlight: 4,
        from: 'beginning',
        onDelivery: delivery => {
          served[mode]!.push(delivery.event.id)
          void delivery.settle({ kind: 'done' })
        },
      })
    const signals: string[] = []
    driver.onSignal(event => signals.push(event.id))

    const foreign = await connect({ servers: natsUrl() })
    onTestFinished(() => foreign.close())
    for (const body of malformed)
      for (const subject of [`${log}.e.4.-.job.made`, `${log}.signal`]) foreign.publish(subject, body)
    await foreign.flush()

    const event = createEvent({ type: 'job.made', data: null })
    await driver.publish([{ event, json: JSON.stringify(event) }])
    await until(() => Object.values(served).every(ids => ids.includes(event.id)))
    const dead = await until(async () => {
      const list = await collect(driver.listDeferred())
      return list.length === 2 * malformed.length && list
    })
    for (const entry of dead) expect(entry).toMatchObject({ state: 'dead', reason: { code: 'E_EVENT_INVALID' } })
    // Older versions print `reason`, which must be a text for them.
    const { streams } = await jetstreamManager(foreign)
    const stored = await streams.getMessage(`${log}_state`, { seq: Number(dead[0]!.id) })
    expect(stored!.json()).toMatchObject({
      reason: expect.stringMatching(/^E_EVENT_INVALID: /),
      error: { code: 'E_EVENT_INVALID' },
    })
    expect((await collect(driver.read({}))).map(stored => stored.event.id)).toEqual([event.id])
    await until(() => {
      driver.sendSignal(event)
      return signals.length > 0
    })
  })
})
