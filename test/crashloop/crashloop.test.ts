import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeNatsServer } from '../lib/nats.ts'
import { type Broker, oneNats } from '../kills/broker.ts'
import { verdictOf } from './checker/checker.ts'
import { crashloop } from './crashloop.ts'

// The short form; `npm run crashloop` is the full one.

const timeout = 180_000

async function findings(broker?: Broker) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-crashloop-'))
  const run = await crashloop({
    ...(broker && { broker }),
    home,
    seed: 1,
    ms: 6_000,
    workers: 2,
    jobsPerSecond: 10,
    killEveryMs: [1_000, 2_000],
    serverKillEveryMs: broker ? 3_500 : 0,
    fanOutEveryMs: 20_000,
  })
  try {
    return (await verdictOf(run, { quietMs: 30_000, mostMs: 120_000 })).findings
  } finally {
    await run.stop()
    await rm(home, { recursive: true, force: true, maxRetries: 20 })
  }
}

describe('on sqlite', () => {
  it('workers that are killed in a loop lose, wedge and forget nothing', { timeout }, async () => {
    expect(await findings()).toEqual([])
  })
})

// The kill test runs on one partition too, and so does the full form.
describeNatsServer('on nats', () => {
  it('with three partitions, workers and the server are killed in a loop, and nothing is lost, wedged or forgotten', {
    timeout,
  }, async () => {
    const broker = await oneNats(3)
    try {
      expect(await findings(broker)).toEqual([])
    } finally {
      await broker.stop()
    }
  })
})
