import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Driver } from '../../src/bus/driver.ts'
import { openKafka } from '../../src/drivers/kafka/index.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { describeKafka, kafkaBootstrap } from '../lib/kafka.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { Effects, finishOrders, grant, moved, placeOrders, projection, startOrders } from './workload.ts'

/** Opens the same log again and again. */
type OpenLog = () => Promise<Driver>

async function sqliteLog(): Promise<OpenLog> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-copy-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  return () => openSqlite({ home })
}

function natsLog(): OpenLog {
  const url = `${natsUrl()}/copy-${randomUUID()}`
  return () => openNats({ url, partitions: 3, leaseMs: 2_000 })
}

async function kafkaLog(): Promise<OpenLog> {
  const url = `kafka://${await kafkaBootstrap()}/copy-${randomUUID()}?lease=6000`
  return () => openKafka({ url, partitions: 3 })
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

/** Moves work from log to log; some of it goes on at each, and all ends on the last one. */
async function move(logs: readonly OpenLog[], numbers: readonly number[]): Promise<void> {
  const effects = new Effects()
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
  const each = numbers.length
  expect([ran('count'), ran('report'), ran('flaky at attempt 2'), ran('gate'), ran('refund')]).toEqual([2 * each, each, each, each, each]) // biome-ignore format: one line
}

describeNats('a log that moves', () =>
  describeKafka('over every broker', () => {
    test('sqlite, nats with 3 partitions, kafka, sqlite: work goes on, and no tool runs twice', {
      timeout: 300_000,
    }, async () => {
      await move([await sqliteLog(), natsLog(), await kafkaLog(), await sqliteLog()], [0, 1, 2, 3, 4, 5])
    })
  }),
)
