import { type RefObject, useEffect, useMemo, useRef, useState } from 'react'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { useUrlState } from '../../shell/url-state.ts'
import { useOpenEvents } from '../event/open-events.ts'
import type { ShownLine } from './shown-lines.ts'
import type { TraceStore } from './trace-store.ts'

const restMs = 300

interface ActiveLineOptions {
  readonly store: TraceStore
  readonly shown: readonly ShownLine[]
  readonly collapsed: ReadonlySet<number>
  readonly setCollapsed: (n: number, isCollapsed: boolean) => void
  readonly scroller: RefObject<HTMLDivElement | null>
}

/** The line that the person is at: in the URL as `at`, and moved by keys. */
export function useActiveLine({ store, shown, collapsed, setCollapsed, scroller }: ActiveLineOptions) {
  const [params, change] = useUrlState()
  const { open, show, closeAll } = useOpenEvents()
  const [active, setActive] = useState<number>()
  const [reveal, setReveal] = useState<{ readonly index: number }>()
  const index = useMemo(() => shown.findIndex(({ line }) => line.n === active), [shown, active])
  const line = shown[index]?.line
  const goTo = (to: number) => {
    const next = shown[to]?.line
    if (!next) return
    setActive(next.n)
    setReveal({ index: to })
  }

  // A link to an event: its line becomes active as soon as it is there.
  const isFound = useRef(false)
  useEffect(() => {
    if (isFound.current || params.at === undefined || shown.length === 0) return
    void store.find(params.at).then(n => {
      const to = shown.findIndex(each => each.line.n === n)
      if (to < 0 || isFound.current) return
      isFound.current = true
      goTo(to)
      scroller.current?.focus({ preventScroll: true })
    })
  }, [store, params.at, shown])

  const event = line?.event
  useEffect(() => {
    if (event === undefined || event === params.at) return
    isFound.current = true
    const timer = setTimeout(() => change({ at: event }, true), restMs)
    return () => clearTimeout(timer)
  }, [event])

  const step = (by: number) => () => {
    scroller.current?.focus({ preventScroll: true })
    goTo(Math.max(0, Math.min(shown.length - 1, index + by)))
  }
  const isCollapsed = line !== undefined && collapsed.has(line.n)
  useHotkeys({
    // The list has these keys too, when it has the focus.
    j: step(1),
    k: step(-1),
    ArrowDown: step(1),
    ArrowUp: step(-1),
    ArrowLeft: () => {
      if (line && line.below > 0 && !isCollapsed) setCollapsed(line.n, true)
      else if (line?.parent !== undefined) goTo(shown.findIndex(each => each.line.n === line.parent))
    },
    ArrowRight: () => {
      if (line && isCollapsed) setCollapsed(line.n, false)
      else if (line && line.below > 0) goTo(index + 1)
    },
    w: () => line && show(line.event, 'why'),
    Escape: () => (open.length > 0 ? closeAll() : change({ range: '' }, true)),
  })
  return { index, setActive, reveal }
}
