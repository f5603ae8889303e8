import { useEffect, useRef } from 'react'
import type { OpenApproval } from '../../../../src/tasks/approval-list.ts'
import { follow } from '../../api/streams.ts'
import { notify } from '../../ui/toasts.tsx'

/** Requests that were answered in this tab: no notice says what the person knows. */
export const answeredHere = new Set<string>()

/** Says when another person answered a request that is listed. */
export function useAnswerNotices(requests: readonly OpenApproval[]): void {
  // One that was answered may leave the list before its answer arrives here.
  const names = useRef(new Map<string, string>())
  for (const { id, name } of requests) names.current.set(id, name)
  useEffect(() => {
    const stop = new AbortController()
    void (async () => {
      for await (const { event } of follow({ type: ['approval.granted', 'approval.denied'], signal: stop.signal })) {
        const name = names.current.get(event.call ?? '')
        if (name === undefined || answeredHere.has(event.call!)) continue
        const { by, comment } = event.data as { by: string; comment?: string }
        notify(`${by} ${event.type === 'approval.granted' ? 'approved' : 'denied'} ${name}`, comment)
      }
    })().catch(() => {
      // Without the stream, the list still shows what waits.
    })
    return () => stop.abort()
  }, [])
}
