import type { Bus } from '../../bus/bus.ts'
import { createEvent } from '../../event.ts'
import { retryType, type Fork } from '../../tasks/fork.ts'
import { definitionDocument } from '../../tasks/instances.ts'
import { startTask } from '../../tasks/task.ts'
import type { CheckWorkflow } from '../../replay/retry.ts'
import { CompiledWorkflow } from '../../workflows/compile.ts'
import { readDefinition, workflowProgram } from '../../workflows/program.ts'
import type { InstanceState } from '../../workflows/state.ts'

/**
 * Whether an instance of a workflow can continue as another task. Events are routed to an instance by its id, so a successor receives none;
 * and undone effects are gone.
 */
export const workflowRetryCheck =
  (bus: Bus): CheckWorkflow =>
  async (program, fork, failed) => {
    const read = async (key: string) => await bus.documents.readText(key)
    const hash = fork.definition!
    if ((await read(definitionDocument(program, hash))) === undefined) return undefined
    const definition = async (of: string) => new CompiledWorkflow(await readDefinition(program, of, read), of)
    const { undoing, state, pinned } = await stateBefore(program, fork, await definition(hash))
    if (undoing)
      return { why: 'has undone its effects. Start it again, with its input or with `tidings redrive`', isUndone: true }
    if (!failed)
      return {
        why: 'ended as its definition says, not by a failed call, and would end the same way. Start it again, with its input or with `tidings redrive`',
      }
    const code = await definition(pinned)
    const at = state.at === undefined ? 0 : (code.indexOf(state.at) ?? 0)
    const waits = code.types.filter(type => code.isExpectedAfter(type, at))
    if (waits.length === 0) return undefined
    return {
      why: `may still wait for ${waits.join(', ')}, and events are routed to the original instance only. Start it again with \`tidings redrive\``,
    }
  }

/** Its state before its last turn. */
async function stateBefore(program: string, fork: Fork, code: CompiledWorkflow) {
  const { start } = fork
  const retry = createEvent({ type: retryType, correlationid: start.correlationid, target: program, data: fork })
  const { machine } = await startTask(workflowProgram(code.definition, { hash: code.hash }), start.correlationid, retry)
  const state = JSON.parse(machine.snapshot()!) as InstanceState
  return { undoing: machine.isCompensating ?? false, state, pinned: machine.pinned!()!.hash }
}
