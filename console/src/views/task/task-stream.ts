import { useEffect, useRef, useState } from 'react'
import { CallText } from '../../../../src/tasks/call-text.ts'
import { isTextDelta, textDeltaType, type TextPiece } from '../../../../src/tasks/text-delta.ts'
import { get } from '../../api/connection.ts'
import { follow } from '../../api/streams.ts'
import type { EventPage } from '../../api/shapes.ts'

const turnPauseMs = 300
const textPauseMs = 50
/** The gateway may be away when the page opens. */
const retryMs = 1_000

/** What models write right now, by call. */
export type LiveTexts = ReadonlyMap<string, readonly TextPiece[]>

/** Follows a task: calls `onTurn` after new turns and approvals, and returns the text that is being generated. */
export function useTaskStream(task: string, isLive: boolean, onTurn: () => void): LiveTexts {
  const [texts, setTexts] = useState<LiveTexts>(new Map())
  const turned = useRef(onTurn)
  turned.current = onTurn
  useEffect(() => {
    if (!isLive) return
    const stop = new AbortController()
    const calls = new Map<string, CallText>()
    const soon = { turn: later(turnPauseMs), text: later(textPauseMs) }
    const show = () => setTexts(new Map([...calls].map(([call, text]) => [call, text.parts])))
    const run = async () => {
      const { head } = await get<EventPage>('events', { limit: 1 }, stop.signal)
      // For what happened between the first answer and now.
      turned.current()
      // A tool call that needs an approval asks for it beside the turns.
      const type = ['task.turn', 'approval.*', textDeltaType]
      for await (const { event } of follow({ task, type, after: head, rows: '1', signal: stop.signal })) {
        if (event.type !== textDeltaType) soon.turn.run(() => turned.current())
        else if (event.subject !== undefined && isTextDelta(event.data)) {
          if (!calls.has(event.subject)) calls.set(event.subject, new CallText())
          calls.get(event.subject)!.add(event.data)
          soon.text.run(show)
        }
      }
    }
    const runUntilStopped = async () => {
      // The query of the task shows what is wrong.
      while (!stop.signal.aborted) await run().catch(() => new Promise(resolve => setTimeout(resolve, retryMs)))
    }
    void runUntilStopped()
    return () => {
      stop.abort()
      soon.turn.clear()
      soon.text.clear()
    }
  }, [task, isLive])
  return texts
}

/** Runs a function after a pause, once for all calls in it. */
function later(ms: number) {
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    run(action: () => void) {
      timer ??= setTimeout(() => {
        timer = undefined
        action()
      }, ms)
    },
    clear: () => clearTimeout(timer),
  }
}
