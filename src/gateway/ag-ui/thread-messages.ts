import type { Message } from '@ag-ui/core'
import { isEnd, taskOfEnd } from '../../ask/task-end.ts'
import { StreamParts } from '../../ask/parts.ts'
import type { RequestOfThread } from '../../ask/thread-history.ts'
import type { Bus } from '../../bus/bus.ts'
import { correlationOf } from '../../bus/ids.ts'
import { callOutcome } from '../../tasks/outcome.ts'
import { inputOf } from '../../tasks/program.ts'
import { turnType } from '../../tasks/turn.ts'
import { userMessage } from './posted.ts'
import { RunEvents } from './run-events.ts'

interface ReadTask {
  readonly parts: StreamParts
  readonly run: RunEvents
}

/**
 * The messages of a branch of a thread as the log has them, up to what the user said last: the answer of the last task is not among them.
 * `fileUrl`: where a blob can be read.
 */
export async function threadMessages(
  bus: Bus,
  branch: readonly RequestOfThread[],
  fileUrl: (blob: string, mediaType: string) => string,
): Promise<Message[]> {
  const answered = branch.slice(0, -1)
  const tasks = answered.length > 0 ? await readTasks(bus, answered, fileUrl) : undefined
  return branch.flatMap(({ task, request, message = request.id }) => [
    userMessage(message, inputOf(request), fileUrl),
    ...(tasks?.get(task)?.run.messages ?? []),
  ])
}

/** Reads the correlation of the thread once, for all tasks. */
async function readTasks(
  bus: Bus,
  branch: readonly RequestOfThread[],
  fileUrl: (blob: string, mediaType: string) => string,
): Promise<Map<string, ReadTask>> {
  const byRequest = new Map(branch.map(({ request, task }) => [request.id, task]))
  const read = new Map<string, ReadTask>()
  const running = new Map<string, ReadTask>()
  for await (const { event } of bus.read({ correlation: correlationOf(branch[0]!.task) })) {
    const begun = byRequest.get(event.id)
    if (begun !== undefined) {
      const task = { parts: new StreamParts(), run: new RunEvents(begun, fileUrl) }
      read.set(begun, task)
      running.set(begun, task)
    }
    if (event.type === turnType || running.size === 0) continue
    const whole = await bus.resolveIfStored(event)
    for (const { parts, run } of running.values()) for (const part of parts.ofEvent(whole)) run.add(part)
    const ended = isEnd(event) ? taskOfEnd(event) : ''
    const outcome = running.has(ended) ? callOutcome(whole) : undefined
    if (outcome && 'output' in outcome) running.get(ended)!.run.complete(outcome.output)
    running.delete(ended)
  }
  return read
}
