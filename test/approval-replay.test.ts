import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { CloudEvent } from '../src/event.ts'
import { parseEffects, resolveEffects, type ResolvedEffects } from '../src/replay/effects.ts'
import { planFork, publishFork } from '../src/replay/fork.ts'
import { selectInputs, publishRedrive } from '../src/replay/redrive.ts'
import { approval } from '../src/tasks/approval.ts'
import { PendingApprovals } from '../src/tasks/approval-list.ts'
import type { CallError } from '../src/tasks/script.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { asked, codeOf, answerRequest } from './lib/approvals.ts'
import { ended, eventsOf, onAnyBus } from './lib/world.ts'

const editor = approval<string>('editor')
const ruledBy = (effects: string, stubs: Record<string, unknown> = {}): ResolvedEffects =>
  resolveEffects([], { effects: parseEffects(effects), stubs: new Map(Object.entries(stubs)) })
const output = ({ data }: CloudEvent) => (data as { output: unknown }).output

onAnyBus(world => {
  /** A draft that ann granted, and of which something was published. */
  async function recorded() {
    const runs: string[] = []
    const publish = tool('publish', {
      description: '',
      input: z.string(),
      approval: true,
      run: text => runs.push(text),
    })
    const desk = agent('desk', {
      on: 'draft.written',
      async run(ctx, draft: string) {
        const decision = await ctx.call(editor, draft).catch((error: CallError) => error.code)
        if (typeof decision === 'string' || !decision.approved) return decision
        await ctx.call(publish, draft)
        return decision
      },
    })
    const worker = await (await world()).worker({ use: [desk, publish] })
    const { bus } = worker
    const { id, correlationid } = await bus.publish({ type: 'draft.written', data: 'Lorem' })
    await answerRequest(bus, 'grant', (await asked(bus, correlationid))[0]!)
    await answerRequest(bus, 'grant', (await asked(bus, correlationid, 2))[1]!)
    const end = await ended(worker, correlationid, id)
    const task = end.id.split(':')[0]!
    const forked = async (effects: string, stubs?: Record<string, unknown>) => {
      const plan = await planFork(bus, { task, version: 1 })
      const { correlation, replay: mark } = await publishFork(bus, plan, 'fork', ruledBy(effects, stubs))
      return { correlation, mark, end: () => ended(worker, correlation, mark) }
    }
    return { worker, bus, runs, task, id, correlationid, end, forked }
  }

  it('a fork requests no approval, and its error names the option that does', async () => {
    const { forked, bus } = await recorded()
    const { end, correlation, mark } = await forked('tool/*=recorded')
    expect(output(await end())).toBe('E_REPLAY_DENIED')
    const [request] = await asked(bus, correlation)
    expect(request).toMatchObject({ target: '$replay', subject: 'editor', replay: mark })
    expect(await codeOf(answerRequest(bus, 'grant', request!))).toBe('E_NOT_FOUND')
    const denied = (await eventsOf({ bus }, correlation)).find(({ type }) => type === 'approval.denied')
    expect(denied!.data).toMatchObject({
      error: { message: expect.stringContaining('--effects approval/editor=live') },
    })
  })

  it('a fork does not inherit an approval of its original task', async () => {
    const { worker, bus, task } = await recorded()
    const plan = await planFork(bus, { task, version: 2 })
    expect(plan.adopted).toEqual([])
    expect(plan.fork.inputs.map(({ type }) => type)).toEqual(['approval.granted'])
    // Before anything was decided upon the answer, which is then asked for again.
    const waiting = await bus.publish({ type: 'draft.written', data: 'Ipsum' })
    const [request] = await asked(bus, waiting.correlationid)
    await worker.pauses.set('agent', 'desk', true)
    await answerRequest(bus, 'grant', request!)
    const later = await planFork(bus, { task: request!.id.split(':')[0]!, version: 2 })
    expect(later.adopted).toEqual([])
    expect(later.fork.reissue.map(({ type }) => type)).toEqual(['approval.requested'])
  })

  it('a redrive uses the recorded answer or a stub, as its options say', async () => {
    const { worker, bus, correlationid, runs, end, forked } = await recorded()
    const selection = { correlation: correlationid }
    const ruled = ruledBy('approval/editor=recorded,tool/publish=recorded')
    const { counterpart } = await publishRedrive(bus, selection, await selectInputs(bus, selection), ruled)
    const correlation = counterpart(correlationid)
    const start = await until(async () => (await eventsOf(worker, correlation))[0])
    expect(output(await ended(worker, correlation, start.id))).toEqual(output(end))
    const no = await forked('', { 'approval/editor': false })
    expect(output(await no.end())).toMatchObject({ approved: false, by: '/replay' })
    const yes = await forked('tool/publish=recorded', { 'approval/editor': true })
    expect(output(await yes.end())).toMatchObject({ approved: true, by: '/replay' })
    expect(runs).toEqual(['Lorem'])
  })

  it('approvals are requested again if the options say so, also by a live tool', async () => {
    const { bus, runs, forked } = await recorded()
    const { correlation, mark, end } = await forked('approval/editor=live,tool/publish=live')
    const [request] = await asked(bus, correlation)
    const pending = new PendingApprovals()
    for await (const { event } of bus.read({ correlation })) pending.add(event)
    expect(await pending.open(bus)).toMatchObject([{ id: request!.id, name: 'editor', replay: mark }])
    await answerRequest(bus, 'grant', request!, 'bob')
    const [, second] = await asked(bus, correlation, 2)
    expect(second).toMatchObject({ target: 'publish', replay: mark })
    expect(runs).toEqual(['Lorem'])
    await answerRequest(bus, 'grant', second!, 'bob')
    expect(output(await end())).toMatchObject({ approved: true, by: 'bob' })
    expect(runs).toEqual(['Lorem', 'Lorem'])
  })
})
