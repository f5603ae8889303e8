import { useParams } from '@tanstack/react-router'
import { TraceOf } from './trace-of.tsx'

/** The trace of a correlation: what caused what, and when. */
export function Trace() {
  const { correlation = '' } = useParams({ strict: false })
  return <TraceOf key={correlation} correlation={correlation} />
}
