import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import first from '../examples/first/app.ts'
import { until } from '../src/testing/wait.ts'
import { eventsOf, onEveryBus } from './lib/world.ts'

onEveryBus(world =>
  it('the example in the README is the file, and it answers', async () => {
    const source = await readFile(new URL('../examples/first/app.ts', import.meta.url), 'utf8')
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
    expect(readme).toContain(source.replace('../../src/index.ts', 'tidings').trim())

    const worker = await (await world()).worker({ use: first.use })
    const { correlationid } = await worker.bus.publish({
      type: 'question.asked',
      data: { text: 'When is the shop open on Sunday?' },
    })
    const answered = await until(async () =>
      (await eventsOf(worker, correlationid)).find(({ type }) => type === 'question.answered'),
    )
    expect(answered.data).toMatchObject({
      answer: expect.stringContaining('On Sunday the shop is open from ten to four.'),
    })
  }),
)
