import { useSyncExternalStore } from 'react'

/* Whether the gateway answered the newest request. */

const listeners = new Set<() => void>()
let reachable = navigator.onLine

function change(changed: boolean): void {
  if (changed === reachable) return
  reachable = changed
  for (const listener of listeners) listener()
}

/** `fetch`, which notes whether there is an answer. */
export async function notedFetch(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init)
    change(true)
    return response
  } catch (error) {
    if (!init.signal?.aborted) change(false)
    throw error
  }
}

export const useReachable = (): boolean =>
  useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => reachable,
  )
