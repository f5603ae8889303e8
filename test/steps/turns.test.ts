import { readFile } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { until } from '../../src/testing/wait.ts'
import { ask } from '../lib/world.ts'
import example from '../../examples/steps/app.ts'

const output = ({ data }: { data: unknown }) => (data as { output: unknown }).output

/** A log on which another owner's turn wins the first time. */
class ContestedDriver extends MemoryDriver {
  conflicts = 1

  constructor(log: MemoryLog) {
    super(log)
    const { commit } = this
    Object.assign(this, {
      commit: (turn: Parameters<typeof commit>[0]) => (this.conflicts-- > 0 ? 'conflict' : commit(turn)),
    })
  }
}

test('a step of a turn that is not accepted does not run', async () => {
  const runs: number[] = []
  const clerk = agent('clerk', { on: 'go', run: ctx => ctx.step('once', () => runs.push(ctx.now)) })
  const driver = new ContestedDriver(new MemoryLog())
  const running = await start(app({ use: [clerk] }), { driver, only: ['agents'] })
  onTestFinished(() => running.stop())
  const end = await ask(running, { type: 'go', data: null })
  expect(driver.conflicts).toBeLessThan(0)
  expect(output(end)).toBe(1)
  expect(runs).toHaveLength(1)
})

test('a process runs at most 256 steps at once, and all of them in the end', async () => {
  let [running, most, done] = [0, 0, 0]
  const many = agent('many', {
    on: 'go',
    async run(ctx) {
      const step = async () => {
        most = Math.max(most, ++running)
        await new Promise(resolve => setTimeout(resolve, 20))
        running--
        done++
      }
      await Promise.all(Array.from({ length: 600 }, () => ctx.step('one of many', step)))
    },
  })
  const worker = await start(app({ use: [many] }), { driver: new MemoryDriver(new MemoryLog()), only: ['agents'] })
  onTestFinished(() => worker.stop())
  await worker.bus.publish({ type: 'go', data: null })
  await until(() => done === 600, { within: 20_000 })
  expect(most).toBe(256)
})

test('the example in docs/steps.md is a file, and it answers', async () => {
  const read = (file: string) => readFile(new URL(`../../${file}`, import.meta.url), 'utf8')
  const source = (await read('examples/steps/app.ts')).replace('../../src/index.ts', 'tidings')
  expect(await read('docs/steps.md')).toContain(source)
  const driver = new MemoryDriver(new MemoryLog())
  const running = await start(example, { driver, only: ['agents', 'tools'] })
  onTestFinished(() => running.stop())
  const end = await ask(running, { type: 'order.placed', data: { order: 'A-17' } })
  expect(output(end)).toEqual({ charged: { order: 'A-17', amount: 1.1, key: true }, parcel: 'parcel of A-17' })
})
