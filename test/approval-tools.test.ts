import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { approvalId, claimId, resultId } from '../src/bus/ids.ts'
import { createEvent } from '../src/event.ts'
import { Pauses } from '../src/bus/pauses.ts'
import { openBus } from '../src/runtime/environment.ts'
import { PendingApprovals } from '../src/tasks/approval-list.ts'
import type { CallError } from '../src/tasks/script.ts'
import { until } from '../src/testing/wait.ts'
import { buildTraceTree } from '../src/trace/build-tree.ts'
import { render } from '../src/trace/render.ts'
import { tool, type ToolOptions } from '../src/tools/tool.ts'
import { asked, codeOf, answerRequest } from './lib/approvals.ts'
import { ended, eventsOf, onAnyBus, typesOf, type World } from './lib/world.ts'

interface Refund {
  amount: number
}

/** A tool that refunds, and an agent that asks it for each of a list, side by side. */
function refunds(options: Partial<ToolOptions<Refund, unknown>> = {}) {
  const runs: number[] = []
  const refund = tool('refund', {
    description: 'Refunds.',
    input: z.object({ amount: z.number() }),
    approval: true,
    run: ({ amount }, { idempotencyKey }) => {
      runs.push(amount)
      return { amount, idempotencyKey }
    },
    ...options,
  })
  const desk = agent('desk', {
    on: 'refunds.wanted',
    run: (ctx, { amounts }: { amounts: number[] }) =>
      ctx.all(
        amounts.map(
          amount => branch =>
            branch.call(refund, { amount }).catch(({ code, message }: CallError) => ({ code, message })),
        ),
      ),
  })
  return { use: [refund, desk], refund, runs }
}

onAnyBus(world => {
  async function begin(options: Partial<ToolOptions<Refund, unknown>>, ...amounts: number[]) {
    const log = await world()
    const desk = refunds(options)
    const worker = await log.worker({ use: desk.use })
    const { bus } = worker
    const { id, correlationid } = await bus.publish({ type: 'refunds.wanted', data: { amounts }, user: 'zoe' })
    const outputs = async () => {
      const { data } = await bus.resolve(await ended(worker, correlationid, id))
      return (data as { output: unknown }).output
    }
    return { ...desk, log, worker, bus, correlationid, id, outputs }
  }

  describe('a tool that must be approved', () => {
    it('runs when a person grants it, as a call that was delivered', async () => {
      const { runs, bus, correlationid, outputs } = await begin({ approvers: ['ann'] }, 7)
      const [request] = await asked(bus, correlationid)
      const call = (await eventsOf({ bus }, correlationid)).find(({ type }) => type === 'tool.invoke')!
      const what = { tool: 'refund', input: { amount: 7 } }
      expect(request).toMatchObject({
        id: approvalId(call.id), source: '/tools/refund', target: 'refund', replyto: 'refund', causationid: call.id,
        deadline: call.deadline, hops: call.hops, user: 'zoe', data: { who: ['ann'], what, hash: expect.stringMatching(/^[0-9a-f]{16}$/) },
      }) // biome-ignore format: one table
      expect(await codeOf(answerRequest(bus, 'grant', request!, 'bob'))).toBe('E_APPROVAL_FORBIDDEN')
      expect(runs).toEqual([])
      await answerRequest(bus, 'grant', request!)
      expect(await outputs()).toEqual([{ amount: 7, idempotencyKey: call.id }])
      expect(runs).toEqual([7])
      const result = (await eventsOf({ bus }, correlationid)).find(({ type }) => type === 'tool.result')
      expect(result).toMatchObject({ id: resultId(call.id), call: call.id, target: 'desk', user: 'zoe' })
      expect(await codeOf(answerRequest(bus, 'deny', request!))).toBe('E_APPROVAL_ANSWERED')
    })

    it('fails when a person denies it', async () => {
      const { runs, bus, correlationid, outputs } = await begin({}, 7)
      const [request] = await asked(bus, correlationid)
      await answerRequest(bus, 'deny', request!, 'ann', { comment: 'Too much.' })
      expect(await outputs()).toEqual([{ code: 'E_APPROVAL_DENIED', message: expect.stringContaining('ann denied the call: Too much.') }]) // biome-ignore format: one line
      expect(runs).toEqual([])
    })

    it('asks if its input demands it, or if its function returns no boolean', async () => {
      const approval = (({ amount }: Refund) => (amount === 50 ? undefined : amount > 10)) as () => boolean
      const { runs, bus, correlationid, outputs } = await begin({ approval }, 5, 10, 11, 50)
      const requests = await asked(bus, correlationid, 2)
      await until(() => runs.length === 2)
      expect(new Set(requests.map(({ data }) => (data.what as { input: Refund }).input.amount))).toEqual(
        new Set([11, 50]),
      )
      expect(new Set(runs)).toEqual(new Set([5, 10]))
      for (const request of requests) await answerRequest(bus, 'grant', request)
      expect(await outputs()).toMatchObject([5, 10, 11, 50].map(amount => ({ amount })))
    })

    it('does not run if its approval function fails', async () => {
      const { runs, outputs } = await begin({ approval: () => { throw new Error('no idea') } }, 7) // biome-ignore format: short
      expect(await outputs()).toMatchObject([{ code: 'E_TOOL_THREW' }])
      expect(runs).toEqual([])
    })

    it('does not ask about invalid input', async () => {
      const { outputs, bus, correlationid } = await begin({ input: z.object({ amount: z.never() }), approval: () => true }, 7) // biome-ignore format: short
      expect(await outputs()).toMatchObject([{ code: 'E_TOOL_INPUT' }])
      expect(typesOf(await eventsOf({ bus }, correlationid))).not.toContain('approval.requested')
    })

    it('holds no slot while a person thinks', async () => {
      const approval = ({ amount }: Refund) => amount > 10
      const { runs, bus, correlationid, outputs } = await begin({ limit: 1, approval }, 100, 200, 1, 2)
      await asked(bus, correlationid, 2)
      await until(() => runs.length === 2)
      const requests = await asked(bus, correlationid, 2)
      for (const request of requests) await answerRequest(bus, 'grant', request)
      expect(await outputs()).toHaveLength(4)
    })

    it('is claimed when it is granted, not before', async () => {
      const { bus, correlationid, outputs, runs } = await begin({ atMostOnce: true }, 7)
      const [request] = await asked(bus, correlationid)
      const claims = async () => (await eventsOf({ bus }, correlationid)).filter(({ type }) => type === 'tool.claimed')
      expect(await claims()).toEqual([])
      await answerRequest(bus, 'grant', request!)
      await outputs()
      expect((await claims()).map(({ id }) => id)).toEqual([claimId(request!.causationid!)])
      expect(runs).toEqual([7])
    })

    it('is retried as its option says', async () => {
      let tries = 0
      const run = () => { if (++tries < 3) throw new Error('busy'); return tries } // biome-ignore format: short
      const { bus, correlationid, outputs } = await begin({ retry: { maxAttempts: 3 }, run }, 7)
      await answerRequest(bus, 'grant', (await asked(bus, correlationid))[0]!)
      expect(await outputs()).toEqual([3])
    })

    it('waits for a worker, and until it is resumed', async () => {
      const { bus, correlationid, log, id, use, runs, worker } = await begin({}, 7)
      const [request] = await asked(bus, correlationid)
      await worker.pauses.set('tool', 'refund', true)
      await log.stop()
      const other = await opened(log)
      await answerRequest(other, 'grant', request!)
      const later = await log.worker({ use })
      await until(async () =>
        (await Array.fromAsync(other.driver.listDeferred())).some(({ state }) => state === 'parked'),
      )
      expect(runs).toEqual([])
      await new Pauses(other).set('tool', 'refund', false)
      await ended(later, correlationid, id)
      expect(runs).toEqual([7])
    })
  })

  it('a trace shows below the call who granted or denied it', async () => {
    const { bus, correlationid, outputs } = await begin({}, 7, 8, 9)
    const [first, second, third] = await asked(bus, correlationid, 3)
    const shown = async () =>
      render(buildTraceTree(await eventsOf({ bus }, correlationid)), 200).map(stripVTControlCharacters)
    await answerRequest(bus, 'grant', first!, 'ann', { comment: 'Fine.' })
    await answerRequest(bus, 'deny', second!, 'bob')
    await until(async () => (await shown()).some(line => /failed|✖/.test(line) && line.includes('tool refund')))
    expect((await shown()).filter(line => line.includes('approval refund'))).toEqual([
      expect.stringMatching(/✔ .*granted by ann: Fine\.  {"tool":"refund","input":{"amount":7}}/),
      expect.stringMatching(/✖ .*denied by bob  {"tool":"refund","input":{"amount":8}}/),
      expect.stringMatching(/◌ .*waiting  {"tool":"refund","input":{"amount":9}}/),
    ])
    const subject = third!.id.split(':')[0]!
    await bus.publish({ type: 'agent.cancel', target: 'desk', subject, correlationid, data: {} })
    await outputs()
    expect((await shown()).filter(line => line.includes('approval refund'))).toEqual([
      expect.stringMatching(/✔ .*granted by ann/),
      expect.stringMatching(/✖ .*denied by bob/),
      expect.stringMatching(/⊘ .*abandoned/),
    ])
  })

  describe('nothing runs', () => {
    it('when the call was cancelled before the grant', async () => {
      const { bus, correlationid, runs, id, worker } = await begin({}, 7)
      const [request] = await asked(bus, correlationid)
      const subject = request!.id.split(':')[0]!
      await bus.publish({ type: 'agent.cancel', target: 'desk', subject, correlationid, data: {} })
      await ended(worker, correlationid, id)
      expect(await codeOf(answerRequest(bus, 'grant', request!))).toBe('E_APPROVAL_OVER')
      const pending = new PendingApprovals()
      for await (const { event } of bus.read({ correlation: correlationid })) pending.add(event)
      expect(await pending.open(bus)).toEqual([])
      expect(runs).toEqual([])
    })

    it('when the call was cancelled after the grant', async () => {
      const { bus, correlationid, runs, log, use } = await begin({}, 7)
      const [request] = await asked(bus, correlationid)
      await log.stop()
      const other = await opened(log)
      await answerRequest(other, 'grant', request!)
      const subject = request!.id.split(':')[0]!
      await other.publish({ type: 'agent.cancel', target: 'desk', subject, correlationid, data: {} })
      const agents = await log.worker({ use }, { only: ['agents'] })
      await until(async () => typesOf(await eventsOf(agents, correlationid)).includes('call.cancelled'))
      await log.worker({ use }, { only: ['tools'] })
      await drained(other)
      expect(runs).toEqual([])
    })

    it('when the call expired before a worker received the grant', async () => {
      const log = await world()
      const { use, refund, runs } = refunds()
      const hurry = agent('hurry', { on: 'hurry', run: ctx => ctx.call(refund, { amount: 7 }, { within: 1_000 }) })
      const { bus } = await log.worker({ use: [...use, hurry] })
      const { correlationid } = await bus.publish({ type: 'hurry', data: null })
      const [request] = await asked(bus, correlationid)
      await log.stop()
      const other = await opened(log)
      // The answer itself, since on a busy machine the bound may pass before a person can be heard.
      const { id, hops, data } = request!
      const answer = { by: 'ann', at: new Date().toISOString(), hash: data.hash }
      const granted = { type: 'approval.granted', id: resultId(id), call: id, target: 'refund', hops, data: answer }
      await other.publish(createEvent({ ...granted, correlationid }))
      await until(() => Date.parse(request!.deadline!) < Date.now())
      await log.worker({ use }, { only: ['tools'] })
      await drained(other)
      expect(runs).toEqual([])
    })

    it('when the granted input differs from the input that would run', async () => {
      const { bus, correlationid, runs, outputs } = await begin({}, 7)
      const [request] = await asked(bus, correlationid)
      // Whoever may publish on a broker may publish this.
      const { tenant, hops, id } = request!
      const data = { by: 'eve', at: new Date().toISOString(), hash: '0'.repeat(16) }
      const forged = { type: 'approval.granted', id: resultId(id), call: id, target: 'refund', tenant, hops, data }
      await bus.publish(createEvent({ ...forged, correlationid }))
      expect(await outputs()).toMatchObject([{ code: 'E_APPROVAL_CHANGED' }])
      expect(runs).toEqual([])
    })

    it('when the answer is to the approval of a program with the same name', async () => {
      const { bus, correlationid, runs } = await begin({}, 7)
      const [request] = await asked(bus, correlationid)
      const { data, causationid: call } = request!
      const answer = { by: 'ann', at: new Date().toISOString(), hash: data.hash }
      for (const other of [call!, `${call}:9`, 'x'])
        await bus.publish(createEvent({ type: 'approval.granted', call: other, target: 'refund', correlationid, data: answer })) // biome-ignore format: short
      await drained(bus)
      expect(runs).toEqual([])
      await answerRequest(bus, 'grant', request!)
      await until(() => runs.length === 1)
    })
  })
})

it('a tool with approvers must require approval and name at least one', () => {
  const options = { description: '', input: z.any(), run: () => null }
  const invalid = expect.objectContaining({ code: 'E_APP_INVALID' })
  expect(() => tool('a', { ...options, approvers: ['ann'] })).toThrow(invalid)
  expect(() => tool('a', { ...options, approval: true, approvers: [] })).toThrow(invalid)
})

async function opened({ place }: World) {
  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  return bus
}

/** Everything that the tool was handed is settled. */
const drained = ({ driver }: Awaited<ReturnType<typeof opened>>) =>
  until(async () => (await driver.listGroups()).every(({ group, lag }) => group !== 'tool/refund' || lag === 0))
