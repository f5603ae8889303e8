import { describe, expect, it } from 'vitest'
import { describeNatsServer } from '../lib/nats.ts'
import { describeKafkaServer } from '../lib/kafka.ts'
import { oneKafka, oneNats, threeNats } from './broker.ts'
import { killTest } from './kills.ts'
import { isClean } from './verify.ts'

// The short form; `npm run kills` is the full one, with a control run for each guarantee.

const patienceMs = 30_000
const timeout = 300_000

describe('on sqlite', () => {
  it('workers that are killed and stopped at random lose nothing, fork nothing, apply nothing twice', {
    timeout,
  }, async () => {
    const report = await killTest({ tasks: 60, kills: 5, stops: 1, workers: 2, patienceMs })
    expect(report).toSatisfy(isClean)
  })

  it('the same without structural dedup does not come out clean', { timeout: 3 * timeout }, async () => {
    // A kill between a result and its settlement is likely, not certain: the fewer, the busier the machine is.
    const run = () => killTest({ tasks: 100, kills: 8, stops: 0, workers: 3, control: 'dedup', patienceMs: 5_000 })
    let report = await run()
    for (let more = 5; more > 0 && isClean(report); more--) report = await run()
    expect(report).not.toSatisfy(isClean)
  })
})

describeNatsServer('on nats', () => {
  it.each([
    { partitions: 1, tasks: 40, kills: 3, serverKills: 1 },
    { partitions: 3, tasks: 40, kills: 3, serverKills: 1 },
  ])(
    'with partitions=$partitions workers and the server are killed at random, and nothing is lost, forked or applied twice',
    {
      timeout,
    },
    async ({ partitions, ...disturbances }) => {
      const broker = await oneNats(partitions)
      try {
        const report = await killTest({ ...disturbances, stops: 1, workers: 2, patienceMs, broker })
        expect(report).toSatisfy(isClean)
      } finally {
        await broker.stop()
      }
    },
  )

  it('of three servers one after the other is killed, and nothing is lost, forked or applied twice', {
    timeout,
  }, async () => {
    const broker = await threeNats()
    try {
      const report = await killTest({ tasks: 40, kills: 3, stops: 0, serverKills: 2, workers: 2, patienceMs, broker })
      expect(report).toSatisfy(isClean)
    } finally {
      await broker.stop()
    }
  })
})

describeKafkaServer('on kafka', () => {
  it('workers are killed and stopped at random, and nothing is lost, forked or applied twice', {
    timeout,
  }, async () => {
    const broker = await oneKafka()
    try {
      const report = await killTest({ tasks: 30, kills: 2, stops: 1, workers: 2, patienceMs, broker })
      expect(report).toSatisfy(isClean)
    } finally {
      await broker.stop()
    }
  })
})
