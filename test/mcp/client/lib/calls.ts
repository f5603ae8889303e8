import { agent } from '../../../../src/agents/agent.ts'
import type { PublishedEvent } from '../../../../src/bus/bus.ts'
import type { AppOptions } from '../../../../src/runtime/app.ts'
import type { RunningApp, StartOptions } from '../../../../src/runtime/start.ts'
import type { CallError } from '../../../../src/tasks/script.ts'
import type { Callable } from '../../../../src/tasks/script-context.ts'
import { ended, type World } from '../../../lib/world.ts'

/** A worker, and an agent by which a test calls any tool. */
export interface Calls {
  readonly worker: RunningApp
  /** The output of a call. */
  call(tool: string, input: unknown): Promise<unknown>
  /** The error of a call. */
  failure(tool: string, input: unknown): Promise<{ code: string; message: string }>
  /** Publishes the call, and does not wait. */
  started(tool: string, input: unknown): Promise<PublishedEvent>
}

/** Calls any tool. */
export const caller = agent('caller', {
  on: 'go',
  run: (ctx, { tool, input }: { tool: string; input: unknown }) =>
    ctx
      .call({ kind: 'tool', name: tool } satisfies Callable, input)
      .then(output => ({ output }))
      .catch(({ code, message }: CallError) => ({ error: { code, message: message.slice(code.length + 2) } })),
})

export async function callsOf(world: World, options: AppOptions, more: StartOptions = {}): Promise<Calls> {
  const worker = await world.worker({ ...options, use: [caller, ...options.use] }, more)
  const draft = (tool: string, input: unknown) => ({ type: 'go', data: { tool, input } })
  const answer = async (tool: string, input: unknown) => {
    const { id, correlationid } = await worker.bus.publish(draft(tool, input))
    const { data } = await worker.bus.resolve(await ended(worker, correlationid, id, 50_000))
    return (data as { output: { output?: unknown; error?: { code: string; message: string } } }).output
  }
  return {
    worker,
    started: (tool, input) => worker.bus.publish(draft(tool, input)),
    async call(tool, input) {
      const { output, error } = await answer(tool, input)
      if (error) throw new Error(`${error.code}: ${error.message}`)
      return output
    },
    async failure(tool, input) {
      const { output, error } = await answer(tool, input)
      if (!error) throw new Error(`it did not fail: ${JSON.stringify(output).slice(0, 500)}`)
      return error
    },
  }
}
