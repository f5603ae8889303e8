import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import type { CloudEvent } from '../src/index.ts'
import { until } from '../src/testing/wait.ts'
import { launch } from './lib/cli.ts'
import { large, lines, records, taskOf, use } from './lib/reading.ts'
import { ask, ended, eventsOf, onAnyBus, type World } from './lib/world.ts'

/* Everything of an event or a task, and why it is there. */

onAnyBus(world => {
  test('show prints a complete task and a complete event', async () => {
    const { place, worker } = await started(world)
    const completed = await ask(worker, { type: 'pages.wanted', data: { note: 'a\nb' } })
    const failed = await ask(worker, { type: 'failure.wanted', data: null })
    const task = taskOf(completed)

    const shown = await lines(place, 'show', task.slice(-6))
    expect(shown).toMatch(/^task \w{6} both v1 completed\n/)
    expect(shown).toMatch(
      /\nturn 1 .*\n {2}in {2}pages\.wanted \S+ .*\n {6}note: \|\n {8}a\n {8}b\n {2}out tool\.invoke \w{6}:1:0 /,
    )
    expect(shown).toMatch(/\n {2}out payment\.failed \w{6}:\d:0 .*\n {6}order: 7\n {6}words:\n {8}- 44000\n {8}- 5\n/)
    expect(shown).toContain(large)
    expect(shown).toMatch(/\noutput\n {2}\|\n {4}line one\n {4}line two\n$/)

    const [whole] = await records(place, 'show', task)
    expect(whole).toMatchObject({
      kind: 'task',
      task,
      program: 'both',
      state: 'completed',
      output: 'line one\nline two',
      waitsFor: [],
    })
    expect(whole!.turns.map(({ version }: { version: number }) => version)).toEqual(
      whole!.turns.map((_: unknown, i: number) => i + 1),
    )
    const inputs = whole!.turns.flatMap(({ inputs }: { inputs: CloudEvent<any>[] }) => inputs)
    expect(inputs.some(({ data }: CloudEvent<any>) => data?.output?.text === large)).toBe(true)

    const why = await lines(place, 'show', taskOf(failed))
    expect(why).toMatch(
      /\nerror\n {2}code: "E_TOOL_THREW"\n {2}message: "no such page: sector 12"\n(.*\n)* {2}stack: \|\n {4}at failing .*\n {4}caused by RangeError\n/,
    )
    const result = inputs.find(({ data }: CloudEvent<any>) => data?.output?.text === large)!
    const event = await lines(place, 'show', `${task.slice(-6)}:1:0:result`)
    expect(event).toMatch(/^event tool\.result\n {2}id +\S+:0000001:0:result\n/)
    expect(event).toContain(`text: "${large}"`)
    expect(await records(place, 'show', result.id)).toMatchObject([
      { kind: 'event', event: { id: result.id, data: result.data } },
    ])
    expect(await lines(place, 'show', `${task.slice(-6)}:1`)).toMatch(/^turn 1 both /)
  })

  test('why shows each answer that a join waited for once', async () => {
    const { place, worker } = await started(world)
    const { correlationid } = await ask(worker, { type: 'pages.wanted', data: null })
    const joined = (await eventsOf(worker, correlationid)).find(({ type }) => type === 'payment.failed')!
    const reasons = await records(place, 'why', joined.id)
    const shown = reasons.flatMap(({ event }) => (event ? [event.type as string] : []))
    expect(shown.toSorted()).toEqual([
      'pages.wanted',
      'payment.failed',
      'tool.invoke',
      'tool.invoke',
      'tool.result',
      'tool.result',
    ])
    const results = reasons.filter(({ event }) => event?.type === 'tool.result')
    expect(results.map(({ causeOf }) => causeOf)).toEqual([joined.id, joined.id])
    expect(reasons.filter(({ shown }) => shown !== undefined)).toHaveLength(1)
    expect(await lines(place, 'why', joined.id)).toMatch(
      /^├─ payment\.failed .*\n│ .*"order":7.*\n│ {2}also\n│ {2}├─ tool\.result (.*\n)*│ {2}└─ because of \S+, which is shown already\n├─ tool\.result /,
    )

    const wanted = await worker.bus.publish({ type: 'many.wanted', data: null })
    const counted = await until(async () =>
      (await eventsOf(worker, wanted.correlationid)).find(({ type }) => type === 'agent.task.completed'),
    )
    const causes = (await records(place, 'why', counted.id)).filter(({ causeOf }) => causeOf === counted.id)
    expect(causes.filter(({ event }) => event)).toHaveLength(1 + 20)
    expect(causes.filter(({ more }) => more)).toMatchObject([{ more: 9 }])
    expect(await lines(place, 'why', counted.id)).toContain('and 9 causes more: tidings show ')

    const published = await worker.bus.publish({ type: 'pair.wanted', data: null })
    const same = { correlationid: published.correlationid }
    await worker.bus.publish({ type: 'left.came', data: { n: 1 }, ...same })
    await worker.bus.publish({ type: 'right.came', data: { n: 2 }, ...same })
    await ended(worker, published.correlationid, published.id)
    const expired = (await eventsOf(worker, published.correlationid)).find(({ type }) => type === 'pair.expired')!
    const fed = (await records(place, 'why', expired.id)).map(({ event }) => event.type as string)
    expect(fed.toSorted()).toEqual(['left.came', 'pair.expired', 'pair.wanted', 'right.came'])
  })

  test('tail starts at a time, a duration or a cursor', async () => {
    const { place, worker } = await started(world)
    const timeOf = async ({ id, correlationid }: { id: string; correlationid: string }) =>
      (await worker.bus.get(id, correlationid))!.time
    const old = await worker.bus.publish({ type: 'note.made', data: 1 })
    const startedAt = Date.parse(await timeOf(old))
    await until(() => Date.now() > startedAt)
    const fresh = await worker.bus.publish({ type: 'note.made', data: 2 })
    const first = async (since: string) => {
      const child = launch(place, ['tail', '--json', '--type', 'note.made', '--since', since])
      const closed = once(child, 'close')
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
      child.kill('SIGKILL')
      await closed
      return (JSON.parse(line) as { event: CloudEvent }).event.id
    }
    const shown = [await timeOf(fresh), '1h', String(old.position.offset), 'beginning'].map(first)
    expect(await Promise.all(shown)).toEqual([fresh.id, old.id, fresh.id, old.id])
  })
})

async function started(world: () => Promise<World>) {
  const log = await world()
  return { place: log.place, worker: await log.worker({ use }) }
}
