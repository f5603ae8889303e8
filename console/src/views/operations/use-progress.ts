import { useEffect, useState } from 'react'
import { operatorIn } from '../../../../src/tasks/operation.ts'
import { follow } from '../../api/streams.ts'
import type { OperationView } from '../../api/operations.ts'

/** What an operation publishes for each task that it acts on. */
const actTypes: Readonly<Record<string, string>> = {
  cancel: 'agent.cancel',
  retry: 'agent.retry',
  discard: 'control.dismissed',
}

interface Progress {
  /** How many it acts on, once a worker has selected them. */
  readonly selected?: number
  /** On how many it has acted; undefined if nothing says so. */
  readonly done?: number
}

/** How far an operation is. */
export function useProgress({ operation, request }: OperationView): Progress {
  const actType = actTypes[request.action]
  const [progress, setProgress] = useState<Progress>(actType === undefined ? {} : { done: 0 })
  useEffect(() => {
    const stop = new AbortController()
    const selection = async () => {
      for await (const { event } of follow({
        type: 'operation.started',
        correlation: operation,
        signal: stop.signal,
      }))
        setProgress(before => ({ ...before, selected: (event.data as { ids: readonly string[] }).ids.length }))
    }
    const acts = async () => {
      if (actType === undefined) return
      for await (const { event } of follow({ type: actType, rows: '1', signal: stop.signal }))
        if (operatorIn(event.source)?.operation === operation)
          setProgress(before => ({ ...before, done: (before.done ?? 0) + 1 }))
    }
    // Without these streams the result still comes.
    for (const each of [selection(), acts()]) each.catch(() => {})
    return () => stop.abort()
  }, [operation, actType])
  return progress
}
