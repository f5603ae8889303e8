import { expect, it } from 'vitest'
import { tool } from '../src/index.ts'
import { z } from 'zod'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { onAnyBus } from './lib/world.ts'

const some = tool('some', { description: '', input: z.any(), run: () => 1 })
const total = 1_200

onAnyBus(world => {
  it('a long list prints its beginning and a count, and with --json every entry', {
    timeout: 60_000,
  }, async () => {
    const log = await world()
    const { bus } = await log.worker({ use: [some] })
    let dead = 0
    await bus.driver.subscribe({
      group: 'failing',
      mode: 'shared',
      filter: [{ types: ['job.made'] }],
      maxInFlight: 256,
      from: 'beginning',
      onDelivery: delivery =>
        void delivery.settle({ kind: 'discard', reason: { code: 'E_TEST', message: 'it broke' } }).then(() => dead++),
    })
    for (let n = 0; n < total; n += 300)
      await bus.publishAll(Array.from({ length: 300 }, (_, i) => ({ type: 'job.made', data: { n: n + i } })))
    await until(() => dead === total, { within: 30_000 })

    const shown = await tidings(log.place, ['attention'])
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    expect(shown.stdout.match(/^dead /gm)).toHaveLength(1_000)
    expect(shown.stdout.match(/part of job\.made/g)).toHaveLength(1_000)
    expect(shown.stdout).toContain('and 200 entries more: tidings attention --json lists all')
    const { stdout } = await tidings(log.place, ['attention', '--json'])
    expect(stdout.trim().split('\n')).toHaveLength(total)
    expect((await tidings(log.place, ['status'])).stdout).toContain('1,200 entries')
  })
})
