import type { Bus } from '../bus/bus.ts'
import { correlationFrom, parseId, taskId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { tokensOf, type EarlierConversation, type ModelRequest, type ModelResult } from '../tasks/conversation.ts'
import { isEnd } from './answers.ts'

/*
 * A thread is a correlation that follows from its name. A model agent that is asked again in it continues the conversation of its last task
 * that completed. Conversations are references to events, so the request carries a few ids, however long the thread is.
 */

export const threadCorrelation = (tenant: string, thread: string) =>
  correlationFrom(JSON.stringify([tenant, 'thread', thread]))

interface ThreadTask {
  request?: CloudEvent
  answer?: CloudEvent
  /** The task of the agent that continued the conversation. */
  successor?: string
}

/** Its data may be in a blob. */
const continuesConversation = async (bus: Bus, event: CloudEvent) =>
  ((await bus.resolveIfStored(event)).data as { conversation?: unknown } | null)?.conversation !== undefined

/** The conversation that the next request of a thread continues. Undefined if there is none, as with agents without a model. */
export async function threadConversation(
  bus: Bus,
  correlation: string,
  program: string,
): Promise<EarlierConversation | undefined> {
  const tasks = new Map<string, ThreadTask>()
  const taskOf = (id: string | undefined): ThreadTask => {
    const { task = '' } = parseId(id ?? '') ?? {}
    const known = tasks.get(task) ?? {}
    tasks.set(task, known)
    return known
  }
  let last: string | undefined
  for await (const { event } of bus.read({ correlation })) {
    const { id, type, call, target, source } = event
    if (type === 'model.invoke') taskOf(id).request = event
    else if (type === 'model.result') taskOf(call).answer = event
    else if (type === 'agent.invoke' && (await continuesConversation(bus, event)))
      taskOf(id).successor = taskId(correlation, target!, id)
    else if (type === 'agent.task.completed' && isEnd(event) && source === `/agents/${program}`)
      last = parseId(id)!.task
  }
  let task = last === undefined ? undefined : tasks.get(last)
  while (task?.successor !== undefined) task = tasks.get(task.successor)
  if (!task?.request || task.answer?.call !== task.request.id) return undefined
  const answer = (await bus.resolve(task.answer)).data as ModelResult
  if (answer.toolCalls.length > 0) return undefined
  const { first } = (await bus.resolve(task.request)).data as ModelRequest
  const messages = [{ role: 'assistant', event: task.answer.id }] as const
  return { prev: task.request.id, messages, first, tokens: tokensOf(answer) }
}
