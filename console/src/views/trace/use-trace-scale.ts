import { useMemo } from 'react'
import { useSource } from '../../api/source.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { idlesUntil } from '../../trace/idle.ts'
import { TimeScale } from '../../trace/time-scale.ts'
import type { TraceTotals } from '../../trace/trace-lines.ts'
import { useNow } from '../../ui/use-now.ts'
import { rangeIn } from './range.ts'

/** The time axis of a trace: all of it, and the part that the person chose. */
export function useTraceScale(totals: TraceTotals | undefined, isComplete: boolean) {
  const [params] = useUrlState()
  const isOffline = useSource().origin === 'slice'
  const now = useNow()
  const isLive = !isOffline && isComplete && (totals?.open ?? 0) > 0
  const end = Math.max(totals?.to ?? 0, isLive ? now : 0)
  const idles = useMemo(() => (totals ? idlesUntil(totals, end) : []), [totals, end])
  const isFolded = params.idle !== 'shown'
  const whole = useMemo(
    () => new TimeScale(totals?.from ?? 0, end, isFolded ? idles : []),
    [totals, end, idles, isFolded],
  )
  const range = useMemo(() => rangeIn(params.range), [params.range])
  const scale = useMemo(
    () => (range ? new TimeScale(whole.from + range.from, whole.from + range.to, whole.idles) : whole),
    [whole, range],
  )
  return { whole, scale, range, end, isLive, hasIdles: idles.length > 0, isFolded }
}
