import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { agent, app, start, tool } from '../../src/index.ts'
import { driverConformance, type TestClock } from '../../src/testing/conformance/index.ts'
import { z } from 'zod'
import { SystemClock } from '../../src/testing/memory/clock.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { registerMemoryDriver } from './register.ts'

const partitioned = (partitions: number) => ({
  async fresh() {
    let log: MemoryLog | undefined
    return {
      async open({ now }: TestClock) {
        log ??= new MemoryLog({ partitions, clock: new SystemClock(now) })
        return new MemoryDriver(log)
      },
      remove: async () => {},
    }
  },
})

driverConformance('memory with partitions=3', partitioned(3))
driverConformance('memory with partitions=1', { ...partitioned(1), parts: ['EventLog', 'LogAdmin'] })

const double = tool('double', { description: 'n × 2', input: z.object({ n: z.number() }), run: ({ n }) => 2 * n })
const clerk = agent('clerk', {
  on: 'order.paid',
  run: async (ctx, order: { n: number }) => {
    ctx.emit({ type: 'order.booked', data: await ctx.call(double, order) })
  },
})

test('the driver has at most 700 lines, as docs/custom-driver.md says', async () => {
  const folder = join(import.meta.dirname, '../../src/testing/memory')
  const texts = await Promise.all((await readdir(folder)).map(file => readFile(join(folder, file), 'utf8')))
  expect(texts.join('').split('\n').length - 1).toBeLessThanOrEqual(700)
})

test('an app runs on a driver that is passed in, and on one that is named', async () => {
  registerMemoryDriver()
  for (const where of [{ driver: new MemoryDriver(new MemoryLog()) }, { bus: 'memory:test' }]) {
    const running = await start(app({ use: [clerk, double] }), { ...where, only: ['agents', 'tools'] })
    await running.bus.publish({ type: 'order.paid', data: { n: 21 } })
    const booked = running.bus.follow('0', [{ types: ['order.booked'] }], AbortSignal.timeout(10_000))
    for await (const { event } of booked) {
      expect(event.data).toBe(42)
      break
    }
    await running.stop()
  }
})
