import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { Redaction } from '../src/bus/redact.ts'
import { openBus } from '../src/runtime/environment.ts'
import type { Schema } from '../src/schema.ts'
import type { CallError } from '../src/tasks/script.ts'
import { digest } from '../src/tasks/turn.ts'
import { SharedKey } from '../src/bus/shared-key.ts'
import { tool, type ToolOptions } from '../src/tools/tool.ts'
import { asked, codeOf, answerRequest } from './lib/approvals.ts'
import { ended, eventsOf, onAnyBus, typesOf, type World } from './lib/world.ts'

interface Deploy extends Partial<ToolOptions<unknown, unknown>> {
  input: Schema
  redact?: Redaction
  /** Whether it asks for approval; else it does. */
  asks?: boolean
}

const amount = z.object({ amount: z.number() })

/** One version of an app that pays; `runs` has what the tool was called with. */
function deploy({ redact, asks = true, ...options }: Deploy) {
  const runs: unknown[] = []
  const pay = tool('pay', {
    description: 'Pays.',
    ...(asks && { approval: true }),
    run: input => {
      runs.push(input)
      return 'paid'
    },
    ...options,
  })
  const desk = agent('desk', {
    on: 'payment.wanted',
    run: (ctx, input: unknown) =>
      ctx.call(pay, input as never).catch(({ code, message }: CallError) => ({ code, message })),
  })
  return { app: { use: [pay, desk], ...(redact && { redact }) }, runs }
}

onAnyBus(world => {
  /** Asks for a payment with one version of the app. */
  async function ask(before: Deploy, input: unknown) {
    const log = await world()
    const first = deploy(before)
    const worker = await log.worker(first.app)
    const { id, correlationid } = await worker.bus.publish({ type: 'payment.wanted', data: input })
    const outcome = async (running = worker) => {
      const { data } = await running.bus.resolve(await ended(running, correlationid, id))
      return (data as { output: unknown }).output
    }
    return { log, worker, correlationid, runs: first.runs, outcome }
  }

  /** Asks with one version; another one is deployed, or the same once more; then a person answers. */
  async function answered(before: Deploy, after: Deploy, input: unknown, decision: 'grant' | 'deny' = 'grant') {
    const { log, worker, correlationid, runs, outcome } = await ask(before, input)
    const [request] = await asked(worker.bus, correlationid)
    await log.stop()
    const next = deploy(after)
    const running = await log.worker(next.app)
    await answerRequest(running.bus, decision, request!)
    return { output: await outcome(running), runs: [...runs, ...next.runs], request: request! }
  }

  const ranWith = async (before: Deploy, after: Deploy, input: unknown) => {
    const { output, runs } = await answered(before, after, input)
    expect(output).toBe('paid')
    return runs
  }

  const changed = async (before: Deploy, after: Deploy, input: unknown) => {
    const { output, runs, request } = await answered(before, after, input)
    expect(output).toMatchObject({ code: 'E_APPROVAL_CHANGED' })
    expect(runs).toEqual([])
    return request
  }

  describe('what is shown is what the tool is called with', () => {
    it.each([
      ['a default', z.object({ amount: z.number().default(5_000) }), {}, { amount: 5_000 }],
      ['a transform', amount.transform(({ amount }) => ({ cents: amount * 100 })), { amount: 7 }, { cents: 700 }],
      ['an async schema', amount.refine(async () => true), { amount: 7, more: 1 }, { amount: 7 }],
    ])('with %s', async (_, input, given, expected) => {
      const { worker, correlationid, outcome, runs } = await ask({ input }, given)
      const [request] = await asked(worker.bus, correlationid)
      expect(request!.data.what).toEqual({ tool: 'pay', input: expected })
      await answerRequest(worker.bus, 'grant', request!)
      expect(await outcome()).toBe('paid')
      expect(runs).toEqual([expected])
    })
  })

  describe('a deploy before the answer', () => {
    it('that parses the input to another value fails the call', async () => {
      await changed({ input: amount }, { input: amount.transform(({ amount }) => ({ amount: amount * 10 })) }, { amount: 600 }) // biome-ignore format: short
      const limits = [5_000, 9_000].map(limit => ({ input: z.object({ amount: z.number().default(limit) }) }))
      await changed(limits[0]!, limits[1]!, {})
    })

    it('of another version of the tool fails the call', async () => {
      const request = await changed({ input: amount, version: 2 }, { input: amount, version: 3 }, { amount: 7 })
      expect(request.data.what).toEqual({ tool: 'pay', version: 2, input: { amount: 7 } })
    })

    it('that leaves the tool and its input unchanged has no effect', async () => {
      const other = z.object({ note: z.string().default('none'), amount: z.number().default(1) })
      const after = {
        input: other,
        description: 'Pays well.',
        version: 1,
        approvers: ['ann', 'bob'],
        redact: { paths: ['approval.requested:data.what.input.amount'] },
      }
      const before = { input: z.object({ amount: z.number(), note: z.string().default('none') }) }
      expect(await ranWith(before, after, { amount: 7 })).toEqual([{ amount: 7, note: 'none' }])
    })

    it('that changes a value which redaction hides fails the call, and the hash does not reveal the value', async () => {
      const paying = (account: string): Deploy => ({
        input: z.object({ amount: z.number(), account: z.string().default(account) }),
        redact: { paths: ['data.**.account'] },
      })
      const { data } = await changed(paying('DE01'), paying('DE02'), { amount: 7 })
      expect(data.what).toEqual({ tool: 'pay', input: { amount: 7, account: '[redacted data.**.account]' } })
      const guesses = [{ tool: 'pay', version: 1, input: { account: 'DE01', amount: 7 } }, { tool: 'pay', input: { amount: 7, account: 'DE01' } }] // biome-ignore format: short
      expect(guesses.flatMap(guess => [digest(guess), digest(guess.input)])).not.toContain(data.hash)
      expect(await ranWith(paying('DE01'), paying('DE01'), { amount: 7 })).toEqual([{ amount: 7, account: 'DE01' }])
    })

    it('that removes the approval from the code keeps the open request', async () => {
      const before = { input: amount }
      const after: Deploy = { input: amount, asks: false }
      expect(await answered(before, after, { amount: 7 })).toMatchObject({ output: 'paid', runs: [{ amount: 7 }] })
      const denied = await answered(before, after, { amount: 7 }, 'deny')
      expect(denied).toMatchObject({ output: { code: 'E_APPROVAL_DENIED' }, runs: [] })
      await changed(before, { ...after, input: z.object({ amount: z.number().transform(n => n + 1) }) }, { amount: 7 })
    })
  })

  describe('no approval is requested for input that is', () => {
    let parsed = 0
    it.each([
      ['no JSON', z.object({ when: z.coerce.date() }), { when: '2026-01-01' }, '$.when'],
      ['no JSON in a list', z.object({ ids: z.array(z.coerce.bigint()) }), { ids: ['1'] }, '$.ids[0]'],
      ['a different value each time', z.object({ id: z.number().default(() => ++parsed) }), {}, '$.id'],
    ])('%s after the schema parsed it', async (_, input, given, path) => {
      const { worker, correlationid, outcome, runs } = await ask({ input }, given)
      expect(await outcome()).toEqual({ code: 'E_TOOL_INPUT', message: expect.stringContaining(path) })
      expect(typesOf(await eventsOf(worker, correlationid))).not.toContain('approval.requested')
      expect(runs).toEqual([])
    })
  })

  describe('an approval function', () => {
    it('sees the input that the tool runs with, and cannot change it', async () => {
      let parsed = 0
      const seen: unknown[] = []
      const approval = (input: { amount?: number }) => {
        seen.push({ ...input })
        input.amount = 9_000
        return false
      }
      // The same the first times, of which one is for the description of the tool: a schema may change its mind at any time.
      const input = z.object({ amount: z.number().default(() => (++parsed > 3 ? 9_000 : 7)) })
      const { outcome, runs } = await ask({ input, approval }, {})
      expect(await outcome()).toBe('paid')
      expect({ seen, runs }).toEqual({ seen: [{ amount: 7 }], runs: [{ amount: 7 }] })
    })

    it('is not called for input that differs on each parse', async () => {
      let parsed = 0
      const seen: unknown[] = []
      const approval = (input: unknown) => seen.push(input) === 0
      const input = z.object({ amount: z.number().default(() => ++parsed) })
      const { outcome, runs } = await ask({ input, approval }, {})
      expect(await outcome()).toEqual({ code: 'E_TOOL_INPUT', message: expect.stringContaining('$.amount') })
      expect({ seen, runs }).toEqual({ seen: [], runs: [] })
    })
  })

  it('workers that create the key of the hashes at the same time share one', async () => {
    const log = await world()
    await (await log.worker({ use: [] })).stop()
    const keys = await Promise.all(
      [opened(log), opened(log), opened(log)].map(async bus => new SharedKey(await bus, 'approval/key').get()),
    )
    expect(new Set(keys).size).toBe(1)
  })

  it('the key of the hashes is in no event', async () => {
    const { worker, correlationid, log } = await ask({ input: amount }, { amount: 7 })
    const [request] = await asked(worker.bus, correlationid)
    const { value: key } = (await worker.bus.driver.getDocument('approval/key'))!
    expect(key).toMatch(/^[0-9a-f]{64}$/)
    for await (const { event } of worker.bus.read({})) expect(JSON.stringify(event)).not.toContain(key)
    await log.stop()
    const other = await opened(log)
    expect(await codeOf(answerRequest(other, 'grant', { ...request!, data: { ...request!.data, hash: '0'.repeat(16) } }))).toBe('E_APPROVAL_CHANGED') // biome-ignore format: short
  })
})

it('a version of a tool is a whole number from 1', () => {
  const options = { description: '', input: z.any(), run: () => null }
  for (const version of [0, -1, 1.5, Number.NaN])
    expect(() => tool('a', { ...options, version })).toThrow(expect.objectContaining({ code: 'E_APP_INVALID' }))
})

async function opened({ place }: World) {
  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  return bus
}
