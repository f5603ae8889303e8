import { useEffect, useState } from 'react'
import { operatorIn } from '../../../../src/tasks/operation.ts'
import { follow } from '../../api/connection.ts'
import type { OperationView } from '../../api/operations.ts'

/** What an operation publishes for each task that it acts on. */
const actTypes: Readonly<Record<string, string>> = {
  cancel: 'agent.cancel',
  retry: 'agent.retry',
  discard: 'control.dismissed',
}

/** How far an operation is: how many it acts on, once that is known, and on how many it has acted. */
export function useProgress({ operation, request }: OperationView): { selected?: number; done: number } {
  const [progress, setProgress] = useState<{ selected?: number; done: number }>({ done: 0 })
  const actType = actTypes[request.action]
  useEffect(() => {
    const stop = new AbortController()
    const selection = async () => {
      for await (const { event } of follow({
        type: 'operation.started',
        correlation: operation,
        signal: stop.signal,
      }))
        setProgress(({ done }) => ({ selected: (event.data as { ids: readonly string[] }).ids.length, done }))
    }
    const acts = async () => {
      if (actType === undefined) return
      for await (const { event } of follow({ type: actType, rows: '1', signal: stop.signal }))
        if (operatorIn(event.source)?.operation === operation)
          setProgress(before => ({ ...before, done: before.done + 1 }))
    }
    // Without these streams the result still comes.
    for (const each of [selection(), acts()]) each.catch(() => {})
    return () => stop.abort()
  }, [operation, actType])
  return progress
}
