import { useDeferredValue, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { Id } from '../../ui/id.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { Inspector } from '../event/inspector.tsx'
import { CallNewsContext } from '../event/live-text.tsx'
import { useOpenEvents } from '../event/open-events.ts'
import { Overview } from './overview.tsx'
import { rangeAround, rangeText } from './range.ts'
import { isFiltering, type ShownLine, shownLines } from './shown-lines.ts'
import { TimeAxis } from './time-axis.tsx'
import { Totals } from './totals.tsx'
import { TraceRow } from './trace-row.tsx'
import type { TraceStore } from './trace-store.ts'
import { TraceTools } from './trace-tools.tsx'
import { useActiveLine } from './use-active-line.ts'
import { useTrace } from './use-trace.ts'
import { useTraceScale } from './use-trace-scale.ts'
import styles from './trace.module.css'

const rowHeight = 30

/** The tree of causes on the left, and its times on one axis. */
export function TraceOf({ correlation }: { correlation: string }) {
  const store = useTrace(correlation)
  return store ? <OpenedTrace store={store} correlation={correlation} /> : <Loading what="the trace" />
}

function OpenedTrace({ store, correlation }: { store: TraceStore; correlation: string }) {
  const snapshot = useSyncExternalStore(store.subscribe, store.snapshot)
  const { status, error, lines, order, totals, isComplete } = snapshot
  const [{ text = '', failed }, change] = useUrlState()
  const { open, toggle, close } = useOpenEvents()
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set())
  const scroller = useRef<HTMLDivElement>(null)
  const filter = useDeferredValue(useMemo(() => ({ text, failed: failed === '1' }), [text, failed]))
  const shown = useMemo(() => shownLines(lines, order, collapsed, filter), [lines, order, collapsed, filter])
  const { whole, scale, range, end, isLive, hasIdles, isFolded } = useTraceScale(totals, isComplete)
  const collapse = (n: number, isNow: boolean) => {
    const changed = new Set(collapsed)
    if (isNow) changed.add(n)
    else changed.delete(n)
    setCollapsed(changed)
  }
  const active = useActiveLine({ store, shown, collapsed, setCollapsed: collapse, scroller })
  const zoom = () => {
    const line = shown[active.index]?.line
    if (line)
      change(
        { range: rangeText(rangeAround({ from: line.from - whole.from, to: Math.min(line.to, end) - whole.from })) },
        true,
      )
  }
  useHotkeys({ z: zoom })
  const levelOf = (index: number) => {
    const { n, depth, below } = shown[index]!.line
    return { level: depth + 1, ...(below > 0 && { isExpanded: !collapsed.has(n) }) }
  }
  return (
    <Page
      title="Trace"
      about={<Id id={correlation} />}
      actions={totals && <Totals totals={totals} isComplete={isComplete} isLive={isLive} end={end} />}
      toolbar={
        <TraceTools
          correlation={correlation}
          failed={totals?.failed ?? 0}
          hasIdles={hasIdles}
          isFolded={isFolded}
          isCollapsed={collapsed.size > 0}
          onCollapse={isNow => setCollapsed(new Set(isNow ? foldable(shown) : []))}
        />
      }
    >
      <section className={styles.trace} aria-label="Trace">
        {status === 'failed' && <Failure error={error} retry={() => location.reload()} />}
        {status === 'loading' && <Loading what="the trace" />}
        {totals && status !== 'failed' && (
          <>
            <Overview
              lines={lines}
              order={order}
              scale={whole}
              range={range}
              onRange={chosen => change({ range: chosen ? rangeText(chosen) : '' }, true)}
            />
            <TimeAxis scale={scale} begin={whole.from} />
            {shown.length === 0 && isFiltering(filter) && (
              <Empty title="No line matches">Change the filter above.</Empty>
            )}
            {shown.length > 0 && (
              <VirtualRows
                label="Events of the trace"
                scroller={scroller}
                count={shown.length}
                rowHeight={rowHeight}
                keyOf={index => String(shown[index]!.line.n)}
                levelOf={levelOf}
                {...(active.index >= 0 && { active: active.index })}
                onActive={index => active.setActive(shown[index]!.line.n)}
                onOpen={index => toggle(shown[index]!.line.event)}
                isSelected={index => open.includes(shown[index]!.line.event)}
                reveal={active.reveal}
              >
                {index => (
                  <TraceRow
                    {...shown[index]!}
                    store={store}
                    scale={scale}
                    now={end}
                    isCollapsed={collapsed.has(shown[index]!.line.n)}
                    onCollapse={isNow => collapse(shown[index]!.line.n, isNow)}
                  />
                )}
              </VirtualRows>
            )}
          </>
        )}
      </section>
      {open.length > 0 && (
        <CallNewsContext value={store}>
          <Inspector ids={open} onClose={close} />
        </CallNewsContext>
      )}
    </Page>
  )
}

/** What "Collapse all" collapses: all but the first level. */
const foldable = (shown: readonly ShownLine[]) =>
  shown.flatMap(({ line }) => (line.below > 0 && line.depth > 0 ? [line.n] : []))
