import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent, tool } from '../src/index.ts'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { logFile } from '../src/drivers/sqlite/schema.ts'
import { createEvent } from '../src/event.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'

/* Rows without a valid event, from a failing disk or a manual write. */

const texts = ['not json', '', 'null', '[]', '{}', '{"specversion":"1.0","id":"x","type":"job.made"}', new Uint8Array([0xff, 0])] // biome-ignore format: one list

const noted = tool('noted', { description: '', input: z.any(), run: () => 'noted' })
const clerk = agent('clerk', { on: 'job.made', run: (ctx, n: number) => ctx.call(noted, n) })

/** A log on which each text replaced an event, followed by a good event. */
async function corruptedLog() {
  const home = await mkdtemp(join(tmpdir(), 'tidings-malformed-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const driver = await openSqlite({ home })
  for (const group of ['app/desk', 'tool/noted', 'shared'] as const)
    await driver.createGroup({
      group,
      filter: [{ types: group === 'tool/noted' ? ['tool.invoke'] : ['job.made'] }],
      mode: group === 'app/desk' ? 'sharded' : 'shared',
      from: 'beginning',
    })
  const made = async () => {
    const event = createEvent({ type: 'job.made', data: 1 })
    const [appended] = await driver.publish([{ event, json: JSON.stringify(event) }])
    return { id: event.id, position: appended!.position }
  }
  const bad = []
  for (const _ of texts) bad.push(await made())
  const good = await made()
  await driver.close()
  const db = new DatabaseSync(logFile(home))
  for (const [i, { position }] of bad.entries())
    db.prepare('UPDATE log SET event = ? WHERE pos = ?').run(texts[i]!, position.offset)
  db.close()
  return { home, bad, good }
}

it('a malformed row is dead-lettered for each group, skipped by readers, and stops no worker', {
  timeout: 30_000,
}, async () => {
  const { home, bad, good } = await corruptedLog()
  const running = await start(app({ name: 'desk', use: [clerk, noted] }), {
    home,
    bus: 'sqlite',
    only: ['agents', 'tools'],
  })
  onTestFinished(() => running.stop())
  const { driver } = running.bus
  const served: string[] = []
  await driver.subscribe({
    group: 'shared',
    mode: 'shared',
    filter: [{ types: ['job.made'] }],
    maxInFlight: 2,
    from: 'beginning',
    onDelivery: delivery => {
      served.push(delivery.event.id)
      void delivery.settle({ kind: 'done' })
    },
  })
  await until(async () => (await collect(driver.read({ filter: [{ types: ['agent.task.completed'] }] }))).length === 1)
  const dead = await until(async () => {
    const list = await collect(driver.listDeferred())
    return list.length === 2 * texts.length && list
  })
  for (const group of ['app/desk', 'shared'])
    expect(
      dead
        .filter(entry => entry.group === group)
        .map(({ event }) => event.id)
        .toSorted(),
    ).toEqual(bad.map(({ id }) => id).toSorted())
  for (const entry of dead)
    expect(entry).toMatchObject({
      state: 'dead',
      reason: { code: 'E_EVENT_INVALID' },
      event: { type: 'control.malformed', data: { position: expect.any(Number), text: expect.any(String) } },
    })
  expect(served).toEqual([good.id])

  const read = await collect(driver.read({}))
  expect(read[0]).toMatchObject({ position: good.position, event: { id: good.id } })
  expect(await driver.readAt(bad.map(({ position }) => position))).toEqual(bad.map(() => undefined))
  for (const { id } of bad) expect(await driver.get(id, id)).toBeUndefined()
  const over = new AbortController()
  for await (const { event } of driver.follow('0', undefined, over.signal)) {
    expect(event.id).toBe(good.id)
    over.abort()
  }
  const place = { home, bus: 'sqlite' }
  expect(await tidings(place, ['trace'])).toMatchObject({ code: 0, stderr: '' })
  expect((await tidings(place, ['attention'])).stdout).toContain('E_EVENT_INVALID')
  for (const { id } of dead) expect(await driver.discard(id)).toBe(true)
  expect((await driver.purge({ maxAgeMs: -60_000, maxLag: 0 })).events).toBeGreaterThan(texts.length)
})

it('a reason that an older version stored as text is shown as text', async () => {
  const { home } = await corruptedLog()
  const running = await start(app({ name: 'desk', use: [clerk] }), { home, bus: 'sqlite', only: ['agents'] })
  const dead = await until(async () => (await collect(running.bus.listDeferred()))[0])
  await running.stop()
  const db = new DatabaseSync(logFile(home))
  db.prepare('UPDATE aside SET reason = ? WHERE id = ?').run('E_EVENT_INVALID: not an event', Number(dead.id))
  db.close()
  const { stdout, stderr } = await tidings({ home, bus: 'sqlite' }, ['attention', '--json'])
  expect({ stderr, first: JSON.parse(stdout.split('\n')[0]!) as unknown }).toMatchObject({
    stderr: '',
    first: { reason: { code: 'E_EVENT_INVALID', message: 'not an event' } },
  })
})
