import { useSyncExternalStore } from 'react'
import { noteServerTime } from './server-clock.ts'

/* Whether the gateway answered the newest request, and whether it knows who asks. */

const listeners = new Set<() => void>()
let state = { isReachable: navigator.onLine, isRefused: false }

function change(changed: Partial<typeof state>): void {
  const next = { ...state, ...changed }
  if (next.isReachable === state.isReachable && next.isRefused === state.isRefused) return
  state = next
  for (const listener of listeners) listener()
}

/** `fetch`, which notes what the answer says about the gateway. */
export async function notedFetch(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init)
    noteServerTime(response)
    change({ isReachable: true, isRefused: state.isRefused || response.status === 401 })
    return response
  } catch (error) {
    if (!init.signal?.aborted) change({ isReachable: false })
    throw error
  }
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useReachable = (): boolean => useSyncExternalStore(subscribe, () => state.isReachable)

/** Whether the credential is missing, or not valid any more. It stays so until the page is loaded again. */
export const useRefused = (): boolean => useSyncExternalStore(subscribe, () => state.isRefused)
