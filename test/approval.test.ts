import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import { cancelId, claimId, resultId } from '../src/bus/ids.ts'
import { redactor } from '../src/bus/redact.ts'
import { createEvent, type CloudEvent } from '../src/event.ts'
import { openBus } from '../src/runtime/environment.ts'
import type { AppOptions } from '../src/runtime/app.ts'
import { approval } from '../src/tasks/approval.ts'
import { PendingApprovals } from '../src/tasks/approval-list.ts'
import type { CallError } from '../src/tasks/script.ts'
import { digest } from '../src/tasks/turn.ts'
import { until } from '../src/testing/wait.ts'
import { asked, codeOf, answerRequest } from './lib/approvals.ts'
import { rememberIdsFor } from './lib/nats-ids.ts'
import { ended, eventsOf, onEveryBus, type World } from './lib/world.ts'

const editor = approval<unknown>('editor', { approvers: ['ann', 'bob'] })
const anybody = approval<unknown>('anybody')

const desk = agent('desk', {
  on: 'draft.written',
  async run(ctx, draft: unknown) {
    const decision = await ctx.call(editor, draft, { within: '2d' }).catch((error: CallError) => error.code)
    return { decision }
  },
})
const hasty = agent('hasty', {
  on: 'draft.urgent',
  run: ctx => ctx.call(anybody, 'now', { within: 300 }).catch((error: CallError) => error.code),
})
const fickle = agent('fickle', {
  on: 'draft.fickle',
  async run(ctx) {
    await ctx.race<unknown>([branch => branch.call(anybody, 'never mind'), branch => branch.sleep('1ms')])
  },
})

const output = ({ data }: CloudEvent) => (data as { output: unknown }).output

onEveryBus(world => {
  async function begin(type: string, data: unknown = 'Lorem', options: Partial<AppOptions> = {}) {
    const log = await world()
    const worker = await log.worker({ use: [desk, hasty, fickle], ...options })
    const { id, correlationid } = await worker.bus.publish({ type, data, user: 'zoe' })
    const [request] = await asked(worker.bus, correlationid)
    const end = () => ended(worker, correlationid, id)
    return { log, worker, bus: worker.bus, correlationid, request: request!, end }
  }

  describe('a program that asks a person', () => {
    it('learns who granted it, when, and with which comment', async () => {
      const { bus, request, end, correlationid } = await begin('draft.written', { text: 'Lorem' })
      expect(request).toMatchObject({
        target: 'editor', replyto: 'desk', user: 'zoe', source: '/agents/desk',
        data: { who: ['ann', 'bob'], what: { input: { text: 'Lorem' } }, hash: digest({ input: { text: 'Lorem' } }) },
      }) // biome-ignore format: one table
      const waits = Date.parse(request.deadline!) - Date.parse(request.time)
      expect(waits).toBe(2 * 86_400_000)
      const { data } = await answerRequest(bus, 'grant', request, 'bob', { comment: 'Well done.' })
      expect(output(await end())).toEqual({
        decision: { approved: true, by: 'bob', at: data.at, comment: 'Well done.' },
      })
      const answers = (await eventsOf({ bus }, correlationid)).filter(({ call }) => call === request.id)
      expect(answers).toEqual([
        expect.objectContaining({
          type: 'approval.granted', id: resultId(request.id), target: 'desk', causationid: request.id, user: 'bob',
          source: '/test', hops: request.hops, data: { by: 'bob', at: data.at, hash: request.data.hash, comment: 'Well done.' },
        }),
      ]) // biome-ignore format: one table
    })

    it('gets a denial as an answer', async () => {
      const { bus, request, end } = await begin('draft.written')
      const { data } = await answerRequest(bus, 'deny', request)
      expect(output(await end())).toEqual({ decision: { approved: false, by: 'ann', at: data.at } })
    })

    it('expires if there is no answer in time, and later answers are refused', async () => {
      const { bus, request, end } = await begin('draft.urgent')
      expect(output(await end())).toBe('E_CALL_EXPIRED')
      expect(await codeOf(answerRequest(bus, 'grant', request))).toBe('E_APPROVAL_OVER')
    })

    it('continues in another worker', async () => {
      const { log, request, correlationid } = await begin('draft.written')
      await log.stop()
      const bus = await opened(log)
      await answerRequest(bus, 'grant', request)
      const worker = await log.worker({ use: [desk] })
      const end = await ended(worker, correlationid, request.causationid!)
      expect(output(end)).toMatchObject({ decision: { approved: true, by: 'ann' } })
    })

    it('shows redacted data, as the log does', async () => {
      const redact = { patterns: [{ name: 'word', match: /hunter2/g }] }
      const { request } = await begin('draft.written', { text: 'It is hunter2.' }, { redact })
      const { text } = redactor(redact).value({ text: 'It is hunter2.' })
      expect(text).toContain('redacted')
      expect(request.data).toMatchObject({ what: { input: { text } }, hash: digest({ input: { text } }) })
    })

    it('shows large data completely', async () => {
      const { bus, request, end } = await begin('draft.written', 'x'.repeat(100_000))
      expect((request.data.what as { input: string }).input).toHaveLength(100_000)
      await answerRequest(bus, 'grant', request)
      expect(output(await end())).toMatchObject({ decision: { approved: true } })
    })
  })

  describe('an answer is refused, and changes nothing,', () => {
    it('when its hash is not that of the request', async () => {
      const { bus, request, correlationid } = await begin('draft.written')
      const { hash } = request.data
      const other = hash.replace(/^./, first => (first === '0' ? '1' : '0'))
      expect(await codeOf(answerRequest(bus, 'grant', request, 'ann', { hash: other }))).toBe('E_APPROVAL_CHANGED')
      expect(await codeOf(answerRequest(bus, 'grant', request, 'ann', { hash: hash.slice(0, -1) }))).toBe(
        'E_APPROVAL_CHANGED',
      )
      expect(await codeOf(answerRequest(bus, 'grant', request, 'ann', { hash: '' }))).toBe('E_APPROVAL_CHANGED')
      expect((await eventsOf({ bus }, correlationid)).filter(({ call }) => call)).toEqual([])
    })

    it('when its author is not an approver', async () => {
      const { bus, request } = await begin('draft.written')
      expect(await codeOf(answerRequest(bus, 'grant', request, 'eve'))).toBe('E_APPROVAL_FORBIDDEN')
      expect(await codeOf(answerRequest(bus, 'grant', request, 'cli/ann'))).toBe('E_APPROVAL_FORBIDDEN')
    })

    it('when no request has this id', async () => {
      const { bus, request } = await begin('draft.written')
      const turn = request.id.split(':').slice(0, 2).join(':')
      for (const id of [turn, `${request.id}:result`, request.causationid!, `${turn}:99`])
        expect(await codeOf(answerRequest(bus, 'grant', { ...request, id }))).toBe('E_NOT_FOUND')
    })

    it('when a second one follows, even if it decides differently', async () => {
      const { bus, request, end } = await begin('draft.written')
      await answerRequest(bus, 'deny', request, 'ann')
      expect(await codeOf(answerRequest(bus, 'grant', request, 'bob'))).toBe('E_APPROVAL_ANSWERED')
      expect(await codeOf(answerRequest(bus, 'deny', request, 'ann'))).toBe('E_APPROVAL_ANSWERED')
      expect(output(await end())).toMatchObject({ decision: { approved: false, by: 'ann' } })
    })

    it('when another is sent at the same time', async () => {
      const { log, worker, request, end } = await begin('draft.written')
      const other = await opened(log)
      const answers = await Promise.allSettled([
        ...Array.from({ length: 4 }, () => answerRequest(worker.bus, 'grant', request, 'ann')),
        ...Array.from({ length: 4 }, () => answerRequest(other, 'deny', request, 'bob')),
      ])
      const [first, ...more] = answers.filter(({ status }) => status === 'fulfilled')
      // Two of one person within a millisecond are one answer.
      const winner = (first as PromiseFulfilledResult<CloudEvent<{ by: string }>>).value.data.by
      for (const each of more) expect(each).toMatchObject({ value: { data: { by: winner } } })
      for (const each of answers)
        if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'E_APPROVAL_ANSWERED' })
      expect(output(await end())).toMatchObject({ decision: { by: winner, approved: winner === 'ann' } })
    })

    it('when another was accepted while it was checked', async () => {
      const { log, bus, request, end } = await begin('draft.written')
      const other = await opened(log)
      const { isCallSettled } = bus.driver
      vi.spyOn(bus.driver, 'isCallSettled').mockImplementationOnce(async call => {
        await answerRequest(other, 'deny', request, 'bob')
        await end()
        return isCallSettled.call(bus.driver, call)
      })
      expect(await codeOf(answerRequest(bus, 'grant', request, 'ann'))).toBe('E_APPROVAL_ANSWERED')
    })

    it('when the first crashed before it published, whose answer is then published', async () => {
      const { log, bus, request, end, correlationid } = await begin('draft.written')
      const data = { decision: 'deny', by: 'bob', at: new Date().toISOString(), hash: request.data.hash }
      await shortMemory(log)
      const other = await opened(log)
      await other.publish({ type: 'approval.claimed', id: claimId(request.id), correlationid, data })
      await other.publish({ type: 'probe', id: resultId('probe'), data: null })
      await forgotten(log, 'probe')
      expect(await codeOf(answerRequest(bus, 'grant', request, 'ann'))).toBe('E_APPROVAL_ANSWERED')
      expect(output(await end())).toEqual({ decision: { approved: false, by: 'bob', at: data.at } })
    })

    it('when the task no longer waits', async () => {
      const { bus, request, end, correlationid } = await begin('draft.fickle')
      await end()
      const ids = (await eventsOf({ bus }, correlationid)).map(({ id }) => id)
      expect(ids).toContain(cancelId(request.id))
      expect(await codeOf(answerRequest(bus, 'grant', request))).toBe('E_APPROVAL_OVER')
    })

    it('when the task was cancelled', async () => {
      const { bus, request, end, correlationid } = await begin('draft.written')
      const subject = request.id.split(':')[0]!
      await bus.publish({ type: 'agent.cancel', target: 'desk', subject, correlationid, data: { reason: 'no' } })
      await end()
      expect(await codeOf(answerRequest(bus, 'grant', request))).toBe('E_APPROVAL_OVER')
    })

    it('when it is late, even if no worker ran meanwhile', async () => {
      const { log, request } = await begin('draft.urgent')
      await log.stop()
      await until(() => Date.parse(request.deadline!) < Date.now())
      expect(await codeOf(answerRequest(await opened(log), 'grant', request))).toBe('E_APPROVAL_OVER')
    })

    it('when its comment is too long', async () => {
      const { bus, request } = await begin('draft.written')
      expect(await codeOf(answerRequest(bus, 'grant', request, 'ann', { comment: 'x'.repeat(4_001) }))).toBe(
        'E_REQUEST_INVALID',
      )
    })

    it('when a second one follows after the broker has forgotten the id of the first', async () => {
      const { log, request, correlationid } = await begin('draft.written')
      await log.stop()
      await shortMemory(log)
      const bus = await opened(log)
      await answerRequest(bus, 'deny', request, 'ann')
      await forgotten(log, request.id)
      expect(await codeOf(answerRequest(await opened(log), 'grant', request, 'bob'))).toBe('E_APPROVAL_ANSWERED')
      const answers = (await eventsOf({ bus }, correlationid)).filter(({ call }) => call === request.id)
      expect(answers.map(({ type }) => type)).toEqual(['approval.denied'])
    })
  })

  it('the list has the open requests, oldest first, and nothing else', async () => {
    const log = await world()
    const { bus } = await log.worker({ use: [desk, hasty, fickle] })
    const correlationid = '01900000-0000-7000-8000-00000000a99a'
    const ids: string[] = []
    for (const type of [
      'draft.fickle',
      'draft.urgent',
      'draft.written',
      'draft.written',
      'draft.written',
      'draft.written',
    ])
      ids.push((await bus.publish({ type, data: ids.length, correlationid })).id)
    await ended({ bus }, correlationid, ids[0]!)
    await ended({ bus }, correlationid, ids[1]!)
    const requests = await asked(bus, correlationid, 6)
    const from = (i: number) => requests.find(({ causationid }) => causationid === ids[i])!
    await answerRequest(bus, 'grant', from(2))
    await bus.publish({ id: 'strange', type: 'approval.requested', target: 'editor', correlationid, data: null })
    const later = from(4)
    await bus.publish({
      type: 'agent.cancel', target: 'desk', subject: later.id.split(':')[0]!, correlationid, data: {},
    }) // biome-ignore format: one table
    await ended({ bus }, correlationid, ids[4]!)
    const pending = new PendingApprovals()
    for await (const { event } of bus.read({ correlation: correlationid })) pending.add(event)
    expect(await pending.open(bus)).toEqual(
      requests
        .filter(request => request === from(3) || request === from(5))
        .map(({ id, data: { who, ...asked }, time, deadline }) => ({
          id, tenant: 'default', name: 'editor', approvers: who, ...asked, since: time, until: deadline, correlation: correlationid, from: 'desk',
        })),
    ) // biome-ignore format: one table
  })

  it('answered requests leave the list and stay answered', async () => {
    const bus = await opened(await world())
    const ask = { type: 'approval.requested', target: 'editor', data: { what: null, hash: '0' } }
    const [first, second] = [createEvent(ask), createEvent(ask)]
    const pending = new PendingApprovals()
    const granted = createEvent({ type: 'approval.granted', call: first.id, data: {} })
    for (const event of [first, second, granted, first]) pending.add(event)
    expect((await pending.open(bus)).map(({ id }) => id)).toEqual([second.id])
  })
})

it.each([[''], ['Editor'], ['an editor'], ['a..b'], ['x'.repeat(65)]])('%j is not a valid name of an approval', name =>
  expect(() => approval(name)).toThrow(expect.objectContaining({ code: 'E_APP_INVALID' })),
)

it.each([[[]], [['']], ['ann']])('approvers cannot be %j', who =>
  expect(() => approval('editor', { approvers: who as string[] })).toThrow(
    expect.objectContaining({ code: 'E_APP_INVALID' }),
  ),
)

async function opened({ place }: World) {
  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  return bus
}

/** The broker no longer knows the answer to a call by its id. */
async function forgotten(log: World, call: string) {
  if (log.place.bus === 'sqlite') return
  const { driver } = await opened(log)
  await until(async () => !(await driver.isCallSettled(call)))
}

/** The broker knows ids for the shortest time that it can be set to. */
async function shortMemory({ place: { bus } }: World) {
  if (bus !== 'sqlite') await rememberIdsFor(new URL(bus).pathname.slice(1))
}
