import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { resultId, taskId } from '../../src/bus/ids.ts'
import type { CloudEvent, Draft } from '../../src/event.ts'
import { app } from '../../src/runtime/app.ts'
import { start, type RunningApp } from '../../src/runtime/start.ts'
import { approval } from '../../src/tasks/approval.ts'
import { model } from '../../src/models/model.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { tool } from '../../src/tools/tool.ts'
import { by, on, workflow } from '../../src/index.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { answerRequest, asked } from '../lib/approvals.ts'
import { plainModel } from '../lib/plain-model.ts'
import { ended, eventsOf } from '../lib/world.ts'

/* Whatever is on the log, an event reaches nothing of another tenant: here they share a correlation, which the gateway does not permit. */

const waiter = agent('waiter', { on: 'wait.begun', waitsFor: ['wait.over'], run: ctx => ctx.waitFor('wait.over') })
const flow = workflow('flow', { on: 'flow.begun', within: '1h' })
  .when('over', on('flow.over').as('over'), { within: '1h' })
  .complete(s => s.over)
const pair = workflow('pair', { key: [by('left.came', e => e.n), by('right.came', e => e.n)], within: '1h' })
  .when('left', on('left.came').as('left'), { within: '1h' })
  .when('right', on('right.came').as('right'), { within: '1h' })
  .complete(s => s.right)
const editor = approval('editor')
const desk = agent('desk', { on: 'desk.begun', run: ctx => ctx.call(editor, 'text') })
const delicate = tool('delicate', { description: '', input: z.any(), approval: true, run: () => 'ran' })
const user = agent('user', { on: 'user.begun', run: ctx => ctx.call(delicate, {}) })

const { model: languageModel, asked: prompts } = plainModel(() => 'said')
const writer = agent('writer', { model: model(languageModel), instructions: 'Write.' })

const acme = { tenant: 'acme' }
const rival = { tenant: 'rival' }
let running: RunningApp

beforeEach(async () => {
  const use = [waiter, flow, pair, desk, user, delicate, writer]
  const options = { driver: new MemoryDriver(new MemoryLog()), only: ['agents', 'tools', 'models'] as const }
  const started = (running = await start(app({ name: 'tenants', use }), options))
  onTestFinished(() => started.stop())
})

const publish = (draft: Draft) => running.bus.publish(draft)
const endOf = async ({ correlationid, id }: { correlationid: string; id: string }) =>
  (await ended(running, correlationid, id)) as CloudEvent<{ output: unknown; error?: { code: string } }>

test('an event of another tenant in the same correlation ends no wait and feeds no instance', async () => {
  for (const [kind, program] of [
    ['wait', 'waiter'],
    ['flow', 'flow'],
  ] as const) {
    const begun = await publish({ ...acme, type: `${kind}.begun`, data: null })
    const { correlationid } = begun
    // It comes in the same batch as the start, or after it.
    await publish({ ...rival, correlationid, type: `${kind}.over`, data: 'foreign' })
    await publish({ ...acme, correlationid, type: `${kind}.over`, data: 'own' })
    const { tenant, source, data } = await endOf(begun)
    expect([tenant, source, data.output]).toEqual(['acme', expect.stringContaining(program), 'own'])
  }
})

test('a model reads no message of another tenant, whatever names it', async () => {
  const { id: event } = await publish({ ...acme, id: 'secret', type: 'note.made', data: { input: 'the code is 4711' } })
  const first = { role: 'user', event } as const
  const conversation = { prev: null, first, messages: [first] }
  const begun = await publish({
    ...rival,
    type: 'agent.invoke',
    target: 'writer',
    data: { input: 'mine', conversation },
  })
  expect((await endOf(begun)).data.error).toMatchObject({ code: 'E_MODEL_FAILED' })
  expect(JSON.stringify(prompts)).not.toContain('4711')
})

test('instances of one key are apart by tenant', async () => {
  const data = { n: 7 }
  for (const type of ['left.came', 'right.came'])
    for (const of of [acme, rival]) await publish({ ...of, type, data: { ...data, of: of.tenant } })
  const ends = await until(async () => {
    const entries = await collect(running.bus.read({ filter: [{ types: ['agent.task.*'] }] }))
    return entries.length === 2 && entries.map(({ event }) => event)
  })
  const outputs = ends.map(({ tenant, data: { output } }: CloudEvent<any>) => `${tenant} ${output.of}`)
  expect(new Set(outputs)).toEqual(new Set(['acme acme', 'rival rival']))
  expect(new Set(ends.map(({ correlationid }) => correlationid)).size).toBe(2)
})

test('a cancellation or message of another tenant reaches no task', async () => {
  const begun = await publish({ ...acme, type: 'wait.begun', data: null })
  const { correlationid, id } = begun
  const subject = taskId(correlationid, 'waiter', id)
  const about = { correlationid, target: 'waiter', subject }
  await publish({ ...rival, ...about, type: 'agent.cancel', data: { reason: 'mine now' } })
  await publish({ ...rival, ...about, type: 'agent.message', data: { message: 'psst' } })
  await publish({ ...acme, correlationid, type: 'wait.over', data: 'own' })
  expect(await endOf(begun)).toMatchObject({ type: 'agent.task.completed', data: { output: 'own' } })
  const turns = (await eventsOf(running, correlationid)).filter(({ type }) => type === 'task.turn')
  expect(JSON.stringify(turns)).not.toContain('rival')
})

test('an answer of another tenant counts neither for a program nor for a tool', async () => {
  for (const kind of ['desk', 'user']) {
    const begun = await publish({ ...acme, type: `${kind}.begun`, data: null })
    const [request] = await asked(running.bus, begun.correlationid)
    const { id: call, correlationid, replyto: target, data } = request!
    const granted = { by: 'eve', at: new Date().toISOString(), hash: data.hash }
    // Under an id of its own: the id of the answer stays free.
    const forged = { ...rival, id: `${resultId(call)}:forged`, correlationid, call, target: target!, data: granted }
    await publish({ ...forged, type: 'approval.granted' })
    await until(async () => (await running.bus.listGroups()).every(({ lag }) => lag === 0))
    await answerRequest(running.bus, 'deny', request!, 'ann')
    const { data: end } = await endOf(begun)
    if (kind === 'desk') expect(end.output).toMatchObject({ approved: false, by: 'ann' })
    else expect(end.error).toMatchObject({ code: 'E_APPROVAL_DENIED' })
  }
})
