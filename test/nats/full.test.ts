import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import type { Delivery, Driver, EncodedEvent } from '../../src/bus/driver.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import type { BrokerWait } from '../../src/runtime/start-with-retry.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended } from '../lib/world.ts'
import { double, doubler } from './lib/apps.ts'
import { dataFolder, entry, expectStored, healthOf, isUp, open, server, worker } from './lib/broker.ts'

const text = 'x'.repeat(7_000)

/** With room for so many bytes. */
const roomFor = (dataDir: string, bytes: number) => ({
  dataDir,
  config: `jetstream { store_dir: ${JSON.stringify(dataDir)}, max_file_store: ${bytes} }`,
})

/**
 * Publishes until nothing more fits: the ids of what was acknowledged, and the batch that met the limit first. Of that the
 * server (2.15) may have stored a part, without an answer: it is not known, and sent again it becomes whole.
 */
async function fill(driver: Driver) {
  const acknowledged: string[] = []
  let cut: EncodedEvent[] | undefined
  for (let size = 100; size > 0; size = Math.floor(size / 2))
    for (;;) {
      const sent = Array.from({ length: size }, () => entry({ data: text }))
      const refused = await driver.publish(sent).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (refused) {
        const code = cut ? 'E_LOG_UNAVAILABLE' : expect.stringMatching(/^E_LOG_UN(AVAILABLE|ANSWERED)$/)
        expect(refused).toMatchObject({ code, retryable: true })
        cut ??= sent
        expect((refused as Error).message).toMatch(/insufficient|resources|space|limit|maximum/)
        break
      }
      acknowledged.push(...sent.map(({ event }) => event.id))
    }
  return { acknowledged, cut: cut! }
}

describeNatsServer('a server without room', () => {
  test.each([1, 3])(
    'refuses with the reason, loses nothing, and continues after a purge: partitions=%i',
    async partitions => {
      const driver = await open((await server(roomFor(await dataFolder(), 4_000_000))).url, { partitions })
      const { acknowledged } = await fill(driver)
      expect(acknowledged.length).toBeGreaterThan(100)
      await expectStored(driver, acknowledged)
      expect((await driver.purge({ maxAgeMs: 0, maxLag: 0 })).events).toBeGreaterThanOrEqual(acknowledged.length)
      const sent = entry()
      expect(await driver.publish([sent])).toMatchObject([{ duplicate: false }])
      await expectStored(driver, [sent.event.id])
    },
  )

  test('makes tasks wait; with more room after a restart they continue, each once', async () => {
    const [dataDir, port] = [await dataFolder(), await freePort()]
    const small = await server({ ...roomFor(dataDir, 4_000_000), port })
    let runs = 0
    let isFull = false
    const slow = tool('slow', {
      description: 'Ends when there is no room for what it says.',
      input: z.number(),
      run: async n => {
        runs++
        await until(() => isFull, { within: 20_000 })
        return n * 2
      },
    })
    const patient = agent('patient', { on: 'wait', run: ctx => ctx.call(slow, ctx.event.data as number) })
    const running = await worker(small.url, [doubler, double, patient, slow])
    await isUp(running)
    const waiting = await running.bus.publish({ type: 'wait', data: 21 })
    await until(() => runs === 1)
    const { acknowledged, cut } = await fill(running.bus.driver)
    isFull = true
    const { body } = await until(async () => {
      const found = await running.health()
      return found.status === 503 && found
    })
    expect(body.error).toMatchObject({
      code: 'E_LOG_UNAVAILABLE',
      message: expect.stringMatching(/insufficient|resour/),
    })
    await small.stop()
    await server({ ...roomFor(dataDir, 40_000_000), port })
    await isUp(running)
    const end = await ended(running, waiting.correlationid, waiting.id, 20_000)
    expect(end).toMatchObject({ type: 'agent.task.completed', data: { output: 42 } })
    expect(runs).toBe(1)
    const { correlationid, id } = await running.bus.publish({ type: 'go', data: 4 })
    expect(await ended(running, correlationid, id, 20_000)).toMatchObject({ data: { output: 8 } })
    await running.bus.driver.publish(cut)
    await expectStored(running.bus.driver, [...acknowledged, ...cut.map(({ event }) => event.id)])
  })

  test('is waited for by an app that starts, which says so on /health', async () => {
    const { url } = await server(roomFor(await dataFolder(), 4_000_000))
    const driver = await open(url)
    await fill(driver)
    const port = await freePort()
    const waits: BrokerWait[] = []
    const starting = worker(url, [doubler, double], { port, onWaiting: found => waits.push(found) })
    await until(() => waits.length === 1, { within: 10_000 })
    expect(await healthOf(port)).toMatchObject({
      status: 503,
      body: { error: { code: 'E_LOG_UNAVAILABLE', message: expect.stringMatching(/insufficient|resources/) } },
    })
    await driver.purge({ maxAgeMs: 0, maxLag: 0 })
    const running = await starting
    await isUp(running)
    const { correlationid, id } = await running.bus.publish({ type: 'go', data: 3 })
    expect(await ended(running, correlationid, id)).toMatchObject({ data: { output: 6 } })
  })

  test.for([1, 3])(
    'whose disk is full loses nothing, and continues after a restart: partitions=%i',
    async (partitions, { skip }) => {
      const disk = tinyDisk()
      if (!disk) return skip('no file system can be mounted here')
      const nats = await server({ dataDir: join(disk, 'data') })
      const driver = await open(nats.url, { partitions })
      const before = entry()
      await driver.publish([before])
      const filler = join(disk, 'filler')
      expect(() => writeFileSync(filler, Buffer.alloc(40_000_000))).toThrow(/ENOSPC/)
      const refused = { code: expect.stringMatching(/^E_LOG_UN(AVAILABLE|ANSWERED)$/), retryable: true }
      // Its buffers may take a little yet.
      const acknowledged = [before.event.id]
      const sent = () => Array.from({ length: 20 }, () => entry({ data: text }))
      const failed = await until(async () => {
        const batch = sent()
        const error: unknown = await driver.publish(batch).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        if (!error) acknowledged.push(...batch.map(({ event }) => event.id))
        return error
      })
      expect(failed).toMatchObject(refused)
      rmSync(filler)
      await nats.restart()
      await until(() => driver.publish([entry()]).catch(() => false), { within: 10_000 })
      await expectStored(driver, acknowledged)
    },
  )

  test.each(['goes on', 'is stopped, and another comes'])(
    'takes a turn and not its events: its worker %s',
    async how => {
      const { url } = await server()
      const bus = `${url}/log?timeout=300`
      const driver = await open(url)
      const running = await worker(url, [doubler, double], { bus, only: ['agents', 'tools'] })
      const manager = await jetstreamManager(await client(url))
      const everything = ['log.e.>', 'log.t.>', 'log.r.>', 'log.w.>']
      // As if there were room for the turn alone: what is for a tool finds no stream.
      const [, ...others] = everything
      await manager.streams.update('log', { subjects: ['log.e.*.doubler.>', 'log.e.*.-.>', ...others] })
      const { correlationid, id } = await running.bus.publish({ type: 'go', data: 2 })
      await until(async () => (await Array.fromAsync(driver.read({ correlation: correlationid }))).length === 2)
      // The commit has waited for its time limit by then, too.
      for (const _ of [1, 2])
        await expect(running.bus.publish({ type: 'probe', target: 'double', data: null })).rejects.toMatchObject({
          code: 'E_LOG_UNAVAILABLE',
        })
      if (how !== 'goes on') await running.stop()
      await manager.streams.update('log', { subjects: everything })
      const next =
        how === 'goes on' ? running : await worker(url, [doubler, double], { bus, only: ['agents', 'tools'] })
      expect(await ended(next, correlationid, id, 20_000)).toMatchObject({ data: { output: 4 } })
    },
  )
})

/** A file system of its own, where one may be mounted. */
function tinyDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-disk-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  onTestFinished(() => void execFileSync('/bin/umount', ['-l', folder]))
  return folder
}

describeNatsServer('a log that cannot be written just when a tool', () => {
  test('is claimed does not make the tool fail: it runs later, once', async () => {
    const { url } = await server()
    let runs = 0
    const once = tool('once', { description: '', input: z.any(), atMostOnce: true, run: () => ++runs })
    const caller = agent('caller', { on: 'go', run: ctx => ctx.call(once, null) })
    const running = await worker(url, [caller, once], { bus: `${url}/log?timeout=300`, only: ['agents', 'tools'] })
    const { streams } = await jetstreamManager(await client(url))
    const subjects = ['log.e.*.-.go', 'log.e.*.once.>', 'log.e.*.caller.>', 'log.t.>', 'log.r.>', 'log.w.>']
    await streams.update('log', { subjects })
    const { correlationid, id } = await running.bus.publish({ type: 'go', data: null })
    await until(async () =>
      (await Array.fromAsync(running.bus.driver.listDeferred())).some(({ state }) => state === 'delayed'),
    )
    await streams.update('log', { subjects: ['log.e.>', 'log.t.>', 'log.r.>', 'log.w.>'] })
    expect(await ended(running, correlationid, id, 20_000)).toMatchObject({ data: { output: 1 } })
  })

  test('asks for a retry keeps the delivery until the retry can be written', async () => {
    const { url } = await server()
    const driver = await openNats({ url: `${url}/log?timeout=300`, shards: 4, leaseMs: 600 })
    onTestFinished(() => driver.close())
    const deliveries: Delivery[] = []
    await driver.subscribe({
      group: 'group',
      mode: 'shared',
      filter: [{ types: ['job.>'] }],
      maxInFlight: 10,
      from: 'beginning',
      onDelivery: delivery => deliveries.push(delivery),
    })
    const { streams } = await jetstreamManager(await client(url))
    await driver.publish([entry()])
    await until(() => deliveries.length === 1)
    await streams.update('log_state', { subjects: ['log.s.group.>'] })
    const later = () => deliveries[0]!.settle({ kind: 'retry', after: 1, reason: { code: 'E_BUSY', message: 'busy' } })
    // Longer than the server waits for a sign of life.
    for (const _ of [1, 2, 3, 4]) await expect(later()).rejects.toMatchObject({ code: 'E_LOG_UNAVAILABLE' })
    expect(deliveries).toHaveLength(1)
    await streams.update('log_state', { subjects: ['log.s.>'] })
    await later()
    await until(() => deliveries.length === 2)
    expect(deliveries[1]!.attempt).toBe(2)
  })
})

async function client(url: string) {
  const connection = await connect({ servers: url })
  onTestFinished(() => connection.close())
  return connection
}
