import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { correlationOf } from '../src/bus/ids.ts'
import { by, on, workflow } from '../src/index.ts'
import { collect, until } from '../src/testing/wait.ts'
import { shortId } from '../src/trace/short-id.ts'
import { tidings } from './lib/cli.ts'
import { lines, records, refusal, taskOf, use } from './lib/reading.ts'
import { ask, eventsOf, World } from './lib/world.ts'

/* Ids in lists, which every verb takes, and what lists show of events. */

test('every verb accepts the ids of lists, and turns are those that fork takes', async () => {
  const { place, worker } = await started()
  const completed = await ask(worker, { type: 'pages.wanted', data: 'lemon' })
  const task = taskOf(completed)
  const { correlationid } = completed

  const [tree, found, tasks] = await Promise.all([
    lines(place, 'trace', correlationid),
    lines(place, 'find', 'payment*'),
    lines(place, 'tasks'),
  ])
  const short = task.slice(-6)
  expect(tree).toMatch(new RegExp(`agent both v1 .* ${short} `))
  expect(tree).toMatch(new RegExp(`payment\\.failed +${short}:\\d:0 turn \\d `))
  expect(found).toMatch(new RegExp(` ${short}:\\d:0 payment\\.failed`))
  expect(tasks).toMatch(new RegExp(` ${short} \\d turns`))
  const ids = new Set([...`${tree}${found}`.matchAll(/(?<= )(\w{6}:\d:\S+|[0-9a-f]{8})(?= )/g)].map(([id]) => id))
  expect(ids.size).toBeGreaterThanOrEqual(4)
  for (const id of ids) expect((await records(place, 'show', id))[0]!.kind).toBe('event')

  const [exported] = [await tidings(place, ['export', '--task', short, '--json'])]
  expect(exported).toMatchObject({ code: 0 })
  expect(exported.stdout).toContain(`${task}:0000001`)
  expect((await records(place, 'why', `${short}:1:0`))[0]!.event.id).toBe(`${task}:0000001:0`)
  expect((await records(place, 'why', short))[0]!.event.id).toBe(completed.id)
  expect(await lines(place, 'trace', short)).toBe(tree)
  const more = await records(place, 'publish', 'note.made', '1', '--correlation', correlationid.slice(-6))
  expect(more[0]!.correlationid).toBe(correlationid)

  const { correlationid: waiting } = await worker.bus.publish({ type: 'wait.wanted', data: null })
  const turn = await until(async () => (await eventsOf(worker, waiting)).find(({ type }) => type === 'task.turn'))
  expect((await records(place, 'why', taskOf(turn)))[0]!.event.id).toBe(turn.id)
  expect(await records(place, 'attention', 'cancel', taskOf(turn).slice(-6))).toMatchObject([{ task: taskOf(turn) }])
})

test('every verb refuses the end of several ids or of none, and lists candidates', async () => {
  const { place, worker } = await started()
  const one = await ask(worker, { type: 'pages.wanted', data: 'a', id: 'first-order' })
  const { correlationid } = one
  await ask(worker, { type: 'failure.wanted', data: 'a', id: 'other-order', correlationid })
  const task = taskOf(one)
  const tail = correlationid.slice(-6)
  const app = ['--app', 'examples/first/app.ts']
  const verbs = (task: string) => [
    ['export', '--task', task],
    ['replay', '--task', task, ...app],
    ['redrive', '--task', task, ...app],
    ['fork', '--from', `${task}@1`, ...app],
    ['attention', 'cancel', task],
  ]
  const refusals = (cases: string[][]) =>
    Promise.all(cases.map(async args => ({ args, ...(await refusal(place, ...args)) })))
  for (const { args, code, message } of await refusals([['show', 'order'], ['why', 'order'], ...verbs(tail)])) {
    expect([args, code]).toEqual([args, 'E_AMBIGUOUS'])
    expect(message).toContain(args.includes('order') ? 'first-order' : shortId(task))
  }
  const unknown = [
    ['show', 'zzzz'],
    ['trace', 'ffffffffff'],
    ['approve', 'zzzz'],
    ['export', '--task', 'zzzz'],
  ]
  for (const { args, code, message } of await refusals(unknown)) {
    expect([args, code]).toEqual([args, 'E_NOT_FOUND'])
    if (args[0] !== 'approve') expect(message).toMatch(/ends with ".*"; the newest: \S{6,}/)
    expect(message).not.toMatch(/[0-9a-f-]{36}/)
  }
})

test('instances of one workflow have different ids in lists, which every verb takes', async () => {
  const log = new World(await mkdtemp(join(tmpdir(), 'tidings-suffixes-')), 'sqlite')
  onTestFinished(() => log.stop())
  const { place } = log
  const flow = workflow('order', { within: '1h', key: [by('order.placed', e => e.id)] })
    .when('placed', on('order.placed').as('order'), { within: '1h' })
    .approve('release', s => s.order, { within: '1h' })
    .complete(s => s.order.id)
  const worker = await log.worker({ use: [flow] })
  for (const id of ['one', 'two']) await worker.bus.publish({ type: 'order.placed', data: { id } })
  const requests = await until(async () => {
    const found = await collect(worker.bus.read({ filter: [{ types: ['approval.requested'] }] }))
    return found.length === 2 && found.map(({ event }) => event)
  })
  const tasks = requests.map(taskOf)
  const short = tasks.map(task => `${correlationOf(task).slice(-6)}.${task.slice(-4)}`)
  const listed = await lines(place, 'tasks')
  for (const [i, task] of tasks.entries()) {
    expect(listed).toContain(` ${short[i]} 1 turn`)
    expect(await lines(place, 'show', short[i]!)).toContain(`task ${short[i]} order v1 waiting`)
    const shown = await lines(place, 'trace', short[i]!)
    expect(shown).toContain(` ${short[i]}:1:0 turn 1`)
    expect((await records(place, 'show', `${short[i]}:1:0`))[0]!.event.id).toBe(`${task}:0000001:0`)
    expect((await records(place, 'why', `${short[i]}:1:0`))[0]!.event.id).toBe(`${task}:0000001:0`)
  }
  expect(await refusal(place, 'show', tasks[0]!.slice(-6))).toMatchObject({ code: 'E_AMBIGUOUS' })
  expect(await lines(place, 'approvals')).toContain(`tidings approve ${short[1]}:1:0 `)
  expect(await records(place, 'approve', `${short[1]}:1:0`)).toMatchObject([{ id: requests[1]!.id }])
  expect(await records(place, 'attention', 'cancel', short[0]!)).toMatchObject([{ task: tasks[0] }])
})

test('events of the user that end in failed, expired or denied show their data', async () => {
  const { place, worker } = await started()
  const types = ['card.failed', 'offer.expired', 'visa.denied', 'trip.cancelled']
  const published = await worker.bus.publish({ type: 'trip.begun', data: null })
  const same = { correlationid: published.correlationid, causationid: published.id }
  for (const type of types) await worker.bus.publish({ type, data: { lemon: type.length, reason: 'no' }, ...same })
  const shown = await Promise.all([
    lines(place, 'trace', published.correlationid),
    lines(place, 'find', 'no', '--type', '*.*'),
    ...(await records(place, 'find', 'no', '--type', '*.*')).map(({ event }) => lines(place, 'why', event.id)),
  ])
  expect(shown).toHaveLength(2 + types.length)
  for (const [i, text] of shown.entries())
    expect(text.match(/\{"lemon":\d+,"reason":"no"\}/g)).toHaveLength(i < 2 ? types.length : 1)
  const { correlationid } = await ask(worker, { type: 'failure.wanted', data: null })
  expect(await lines(place, 'trace', correlationid)).toContain('E_TOOL_THREW: no such page')
})

async function started() {
  const log = new World(await mkdtemp(join(tmpdir(), 'tidings-suffixes-')), 'sqlite')
  onTestFinished(async () => {
    await log.stop()
    await rm(log.place.home, { recursive: true, force: true })
  })
  return { place: log.place, worker: await log.worker({ use }) }
}
