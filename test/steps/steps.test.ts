import { describe, expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import type { CallError } from '../../src/tasks/script.ts'
import type { ScriptContext } from '../../src/tasks/script-context.ts'
import type { StepContext, StepOptions } from '../../src/tasks/steps.ts'
import { until } from '../../src/testing/wait.ts'
import { ask, eventsOf, onAnyBus, typesOf, type World } from '../lib/world.ts'

const output = ({ data }: { data: unknown }) => (data as { output: unknown }).output

onAnyBus(world => {
  const worker = async (run: (ctx: ScriptContext) => unknown, log?: World) =>
    (log ?? (await world())).worker({ use: [agent('clerk', { on: 'go', run })] })
  /** What `run()` gets from one step. */
  async function resultOf(step: (context: StepContext) => unknown, options?: StepOptions): Promise<unknown> {
    const running = await worker(ctx => ctx.step('subject', step, options).catch((error: CallError) => error.code))
    return output(await running.bus.resolve(await ask(running, { type: 'go', data: null })))
  }

  describe('a step', () => {
    it('runs once, and its result is recorded as the answer to a call', async () => {
      let runs = 0
      const running = await worker(async ctx => {
        const rate = await ctx.step('fetch rate', async () => ++runs * 7)
        const key = await ctx.step('key', ({ idempotencyKey, attempt }) => ({ idempotencyKey, attempt }))
        return { rate, key }
      })
      const end = await ask(running, { type: 'go', data: null })
      const events = await eventsOf(running, end.correlationid)
      const [, request, result, second] = events.filter(({ type }) => type !== 'task.turn')
      expect(output(end)).toEqual({ rate: 7, key: { idempotencyKey: second!.id, attempt: 1 } })
      expect(request).toMatchObject({ type: 'step.invoke', target: 'clerk', data: { step: 'fetch rate' } })
      expect(result).toMatchObject({
        type: 'step.result',
        id: `${request!.id}:result`,
        call: request!.id,
        target: 'clerk',
      })
      expect(runs).toBe(1)
    })

    it('fails like a tool', async () => {
      const fail = () => {
        throw new Error('no')
      }
      expect(await resultOf(fail)).toBe('E_TOOL_THREW')
      expect(await resultOf(() => new Promise(() => {}), { timeout: 30 })).toBe('E_TOOL_TIMEOUT')
      expect(await resultOf(() => new Map())).toBe('E_TOOL_OUTPUT')
    })

    it('is retried as often as its option says, and counts its attempts', async () => {
      const attempts: number[] = []
      const flaky = ({ attempt }: StepContext) => {
        attempts.push(attempt)
        if (attempts.length < 3) throw new Error('busy')
        return attempts.length
      }
      expect(await resultOf(flaky, { retry: { maxAttempts: 3, backoff: 1 } })).toBe(3)
      expect(attempts).toEqual([1, 2, 3])
    })
  })

  it('steps run side by side, each with its own result', async () => {
    const running = await worker(ctx =>
      Promise.all(Array.from({ length: 8 }, (_, n) => ctx.step(`part ${n % 3}`, () => n))),
    )
    expect(output(await ask(running, { type: 'go', data: null }))).toEqual(Array.from({ length: 8 }, (_, n) => n))
  })

  it('ctx is refused in a step, also while a turn is decided, and the task continues', async () => {
    const running = await worker(async ctx => {
      const open = ctx.step('uses ctx', async () => {
        await new Promise(resolve => setTimeout(resolve, 20))
        return ctx.call({ kind: 'tool', name: 'any' }, null)
      })
      for (let n = 0; n < 20; n++) await ctx.step('other', () => new Promise(resolve => setTimeout(resolve, 3)))
      return open.catch((error: CallError) => error.message)
    })
    const end = await ask(running, { type: 'go', data: null })
    expect(output(end)).toContain('E_STEP_CONTEXT: the step "uses ctx" uses ctx')
    expect(typesOf(await eventsOf(running, end.correlationid))).not.toContain('tool.invoke')
  })

  it('the signal aborts when the task no longer waits for the step', async () => {
    let aborted = ''
    const running = await worker(ctx =>
      ctx.step('endless', async ({ signal }) => {
        await new Promise(resolve => signal.addEventListener('abort', resolve))
        aborted = (signal.reason as { code: string }).code
      }, { within: 200 }).catch((error: CallError) => error.code),
    ) // biome-ignore format: short
    expect(output(await ask(running, { type: 'go', data: null }))).toBe('E_CALL_EXPIRED')
    expect(await until(() => aborted)).toBe('E_TASK_CANCELLED')
  })
})
