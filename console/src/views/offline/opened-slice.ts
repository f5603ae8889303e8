import { useSyncExternalStore } from 'react'
import { sliceSource, type EventSource } from '../../api/source.tsx'
import { inWorker } from '../../api/worker.ts'
import type { SliceSummary } from '../../worker/protocol.ts'

/* The slice that this tab has open. It stays open while a person looks at other views, and is gone after a reload. */

export interface OpenedSlice {
  readonly reading?: string
  readonly summary?: SliceSummary
  readonly source?: EventSource
  readonly error?: unknown
}

const listeners = new Set<() => void>()
let state: OpenedSlice = {}
let count = 0

function change(changed: OpenedSlice): void {
  state = changed
  for (const listener of listeners) listener()
}

export const useOpenedSlice = (): OpenedSlice =>
  useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => state,
  )

/** Reads a file. What was open stays open if it is not a slice. */
export async function openSlice(file: File): Promise<boolean> {
  const { error: _, ...before } = state
  change({ ...before, reading: file.name })
  try {
    const summary = await inWorker('openSlice', file)
    change({ summary, source: sliceSource(`slice ${++count}`) })
    return true
  } catch (error) {
    change({ ...before, error })
    return false
  }
}

export const closeSlice = (): void => change({})
