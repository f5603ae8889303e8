import type { Bus } from '../../src/bus/bus.ts'
import { TidingsError } from '../../src/errors.ts'
import { answerApproval } from '../../src/tasks/approval-answer.ts'
import { approvalType, type ApprovalRequest } from '../../src/tasks/approval.ts'
import { untilStored } from './publish.ts'

/** Somebody who answers each approval as its input says. */
export async function answerAll(bus: Bus, signal: AbortSignal, onAnswered: () => void): Promise<void> {
  for await (const { event } of bus.follow('0', [{ types: [approvalType] }], signal)) {
    const { what, hash } = (await bus.resolve(event)).data as ApprovalRequest
    const { say } = (what as { input: { say: 'grant' | 'deny' | 'nothing' } }).input
    if (say === 'nothing') continue
    try {
      await untilStored(
        () => answerApproval(bus, { id: event.id, decision: say, hash, by: 'ann', source: '/person' }),
        signal,
      )
      onAnswered()
    } catch (error) {
      // An answer that was lost on its way back, or a task that was cancelled.
      const isOver = error instanceof TidingsError && ['E_APPROVAL_ANSWERED', 'E_APPROVAL_OVER'].includes(error.code)
      if (!isOver && !signal.aborted) throw error
    }
  }
}
