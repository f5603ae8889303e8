import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Driver } from '../../src/bus/driver.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { Effects, finishOrders, grant, moved, placeOrders, projection, startOrders } from './workload.ts'

/** Opens the same log again and again. */
type OpenLog = () => Promise<Driver>

async function sqliteLog(): Promise<OpenLog> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-copy-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  return () => openSqlite({ home })
}

function natsLog(partitions: number): OpenLog {
  const url = `${natsUrl()}/copy-${randomUUID()}`
  return () => openNats({ url, partitions, leaseMs: 2_000 })
}

/** The state of a log that nobody uses. */
async function lookAt(open: OpenLog): Promise<string> {
  const driver = await open()
  try {
    return await projection(driver)
  } finally {
    await driver.close()
  }
}

describeNats('a log that moves', () => {
  test('sqlite, nats with 3 partitions, nats with 1, sqlite: work goes on from log to log, and no tool runs twice', async () => {
    const logs = [await sqliteLog(), natsLog(3), natsLog(1), await sqliteLog()]
    const effects = new Effects()
    const numbers = [0, 1, 2, 3, 4, 5]
    const first = await startOrders(await logs[0]!(), effects)
    await placeOrders(first, numbers)
    await first.stop()
    for (const [i, open] of logs.slice(1).entries()) {
      const before = await lookAt(logs[i]!)
      await moved(await logs[i]!(), await open())
      expect(await lookAt(open)).toBe(before)
      const running = await startOrders(await open(), effects)
      if (i === logs.length - 2) await finishOrders(running, numbers)
      else await grant(running, 1)
      await running.stop()
    }
    expect(effects.twice).toEqual([])
    const ran = (what: string) => effects.runs.filter(run => run.startsWith(what)).length
    expect([ran('count'), ran('report'), ran('flaky'), ran('gate'), ran('refund')]).toEqual([12, 6, 6, 6, 6])
    expect(ran('flaky at attempt 2')).toBe(6)
  }, 120_000)
})
