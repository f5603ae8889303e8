import { EventType, type AGUIEvent, type Message, type RunFinishedOutcome } from '@ag-ui/core'
import type { Client } from '../../ask/client.ts'
import type { Bus } from '../../bus/bus.ts'
import { CallError } from '../../tasks/script.ts'
import { openAmong } from '../threads/waiting.ts'
import { RunEvents } from './run-events.ts'

export interface Run {
  readonly bus: Bus
  readonly client: Client
  readonly threadId: string
  readonly runId: string
  /** Undefined if the thread has no task yet. */
  readonly task: string | undefined
  /** The client lacks messages, or has others: it first gets what the thread has. */
  readonly isReplayed: boolean
  /** Where a blob can be read. */
  readonly fileUrl: (blob: string, mediaType: string) => string
  /** The messages before the answer of the task. Read only when a snapshot needs them. */
  before(): Promise<Message[]>
  /** Calls that the client has just answered: it has all that came before, so the run begins after the first of the answers. */
  readonly answered: readonly string[]
}

/** The events of a run, until the task ends or waits for people. Ends early, without the end of the run, when the signal aborts. */
export async function* runEvents(run: Run, signal?: AbortSignal): AsyncGenerator<AGUIEvent> {
  const { bus, client, threadId, runId, task, isReplayed, answered, fileUrl } = run
  const metadata = task === undefined ? {} : { metadata: { task } }
  yield { type: EventType.RUN_STARTED, threadId, runId, ...metadata }
  const events = new RunEvents(task ?? '', fileUrl)
  const finished = (outcome: RunFinishedOutcome, result?: unknown): AGUIEvent => ({
    type: EventType.RUN_FINISHED,
    threadId,
    runId,
    outcome,
    ...(result !== undefined && result !== null && { result }),
    ...(events.usage.length > 0 && { usage: events.usage }),
  })
  const snapshot = async (own = events.messages): Promise<AGUIEvent> => ({
    type: EventType.MESSAGES_SNAPSHOT,
    messages: [...(await run.before()), ...own],
  })
  if (isReplayed) yield await snapshot()
  if (task === undefined) return yield finished({ type: 'success' })
  const handle = client.handle(task)
  let isKnown = answered.length > 0
  try {
    for await (const part of handle.stream({ signal })) {
      const made = events.add(part)
      if (isKnown) {
        if (part.type !== 'answer' || !answered.includes(part.call)) continue
        isKnown = false
        events.end()
        yield await snapshot()
        if (events.state !== undefined) yield { type: EventType.STATE_SNAPSHOT, snapshot: events.state }
      } else
        for (const event of made)
          yield event.type === EventType.MESSAGES_SNAPSHOT ? await snapshot(event.messages) : event
      const open = isKnown ? [] : await openAmong(bus, events.work)
      if (open.length === 0) continue
      const outcome = events.outcomeOf(open)
      yield* events.end()
      return yield finished(outcome)
    }
    if (signal?.aborted) return
    const output = await handle.result()
    if (isKnown) yield await snapshot()
    yield* events.complete(output)
    yield finished({ type: 'success' }, output)
  } catch (error) {
    if (!(error instanceof CallError)) throw error
    const { code, message } = error.data
    yield* events.end()
    if (code === 'E_TASK_CANCELLED') yield finished({ type: 'cancelled' })
    else yield { type: EventType.RUN_ERROR, message, code }
  }
}
