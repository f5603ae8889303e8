import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { on, workflow, type Workflow } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { tidings } from '../lib/cli.ts'
import { eventsOf, onAnyBus, typesOf, type World } from '../lib/world.ts'

const order = (version: number) =>
  workflow('order', { on: 'order.placed', within: '7d', version })
    .when('paid', on('order.paid').as('paid'), { within: '1d', otherwise: late => late.fail(() => 'not paid') })
    .emit('order.done', s => ({ version, by: s.paid.by }))
const other = workflow('order', { on: 'order.placed', within: '7d', version: 3 })
  .when('sent', on('order.sent').as('sent'), { within: '1d' })
  .emit('order.done', s => s.sent)

/** An app file with these workflows, as their definitions say. */
async function appFile(log: World, name: string, flow: Workflow<never, never, unknown>) {
  const file = join(log.place.home, `${name}.ts`)
  const from = (path: string) => JSON.stringify(join(import.meta.dirname, '../../src', path))
  const lines = [
    `import { app } from ${from('index.ts')}`,
    `import { workflowProgram } from ${from('workflows/program.ts')}`,
    `const data = ${JSON.stringify(flow.data)}`,
    `export default app({ name: 'test', use: [{ kind: 'workflow', name: data.name, data, definition: workflowProgram(data) }] })`,
  ]
  await writeFile(file, lines.join('\n'))
  return file
}

onAnyBus(world =>
  it('the command line lists workflows, draws an instance, and moves it or explains why it cannot', {
    timeout: 120_000,
  }, async () => {
    const log = await world()
    const running = await log.worker({ use: [order(1)] })
    const { correlationid } = await running.bus.publish({ type: 'order.placed', data: null })
    await until(async () => typesOf(await eventsOf(running, correlationid)).includes('timer.set'))
    const verb = async (...args: string[]) => {
      const { code, stdout, stderr } = await tidings(log.place, ['workflow', ...args, '--json'])
      expect([code, stderr]).toEqual([0, ''])
      return stdout.trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>) // biome-ignore format: one chain
    }
    const second = await appFile(log, 'second', order(2) as never)
    const third = await appFile(log, 'third', other as never)
    expect(await verb('list', second)).toEqual([
      { workflow: 'order', version: 2, types: ['order.placed', 'order.paid'], key: null, instances: 1 },
    ])
    const [graph] = await verb('graph', 'order', '--app', second, '--task', correlationid.slice(-6))
    const states = (graph!.nodes as { id: string; state: string }[]).map(({ id, state }) => `${id} ${state}`)
    expect(graph).toMatchObject({ workflow: 'order', version: 1 })
    expect(states).toEqual([
      'event passed',
      'paid active',
      'paid/fail open',
      'order.done open',
      'completed open',
      'failed open',
    ])
    const listed = await tidings(log.place, ['tasks'])
    expect(listed.stdout).toMatch(/1 turn {2}waits for order\.paid {2}/)
    const shown = await tidings(log.place, ['show', correlationid.slice(-6)])
    expect(shown.stdout).toMatch(/\n {2}waits for {4}order\.paid\n {2}waits for {4}timer \S+ until /)
    const trace = await tidings(log.place, ['trace', correlationid])
    expect(trace.stdout).toContain('workflow order v1')
    const [refused, none] = await verb('migrate', 'order', '--app', third, '--dry-run')
    expect(refused!.refused).toBe('version 3 does not have its current step "paid"')
    expect(none).toEqual({ workflow: 'order', version: 3, moved: 0, refused: 1 })
    expect((await verb('migrate', 'order', '--app', second)).at(-1)).toMatchObject({ moved: 1, refused: 0 })
    const { key, text } = order(2).definition.document!
    expect((await running.bus.driver.getDocument(key))?.value).toBe(text)
    await running.bus.publish({ type: 'order.paid', data: { by: 'ann' }, correlationid })
    const done = await until(async () =>
      (await eventsOf(running, correlationid)).find(({ type }) => type === 'order.done'),
    )
    expect(done.data).toEqual({ version: 2, by: 'ann' })
    expect(await verb('list', second)).toMatchObject([{ instances: 0 }])
  }),
)
