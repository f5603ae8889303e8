import { useEffect, useState } from 'react'
import { useSource } from '../../api/source.tsx'
import { TraceStore } from './trace-store.ts'

/** The trace of a correlation, open as long as the view is. */
export function useTrace(correlation: string): TraceStore | undefined {
  const source = useSource()
  const [store, setStore] = useState<TraceStore>()
  useEffect(() => {
    const opened = new TraceStore(source, correlation)
    setStore(opened)
    return () => opened.close()
  }, [source, correlation])
  return store
}
