import { Link } from '@tanstack/react-router'
import { useDeferredValue, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { useSource } from '../../api/source.tsx'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { idlesUntil } from '../../trace/idle.ts'
import { TimeScale } from '../../trace/time-scale.ts'
import { Button } from '../../ui/button.tsx'
import { FilterField } from '../../ui/field.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Id } from '../../ui/id.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { useNow } from '../../ui/use-now.ts'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { Inspector } from '../event/inspector.tsx'
import { LiveTextsContext } from '../event/live-text.tsx'
import { useOpenEvents } from '../event/open-events.ts'
import { OperationButton } from '../operations/operation-button.tsx'
import { Overview } from './overview.tsx'
import { isFiltering, shownLines } from './shown-lines.ts'
import { rangeIn, rangeText } from './range.ts'
import { TimeAxis } from './time-axis.tsx'
import { Totals } from './totals.tsx'
import { TraceRow } from './trace-row.tsx'
import type { TraceStore } from './trace-store.ts'
import { useTrace } from './use-trace.ts'
import styles from './trace.module.css'

const rowHeight = 30

/** The tree of causes on the left, and its times on one axis. */
export function TraceOf({ correlation }: { correlation: string }) {
  const store = useTrace(correlation)
  return store ? <OpenedTrace store={store} correlation={correlation} /> : <Loading what="the trace" />
}

function OpenedTrace({ store, correlation }: { store: TraceStore; correlation: string }) {
  const { status, error, lines, order, totals } = useSyncExternalStore(store.subscribe, store.snapshot)
  const [params, change] = useUrlState()
  const { open, toggle, show, close, closeAll } = useOpenEvents()
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set())
  const [active, setActive] = useState<number>()
  const [reveal, setReveal] = useState<{ index: number }>()
  const scroller = useRef<HTMLDivElement>(null)
  const filter = useDeferredValue(
    useMemo(() => ({ text: params.text ?? '', failed: params.failed === '1' }), [params.text, params.failed]),
  )
  const shown = useMemo(() => shownLines(lines, order, collapsed, filter), [lines, order, collapsed, filter])
  const activeIndex = useMemo(() => shown.findIndex(({ line }) => line.n === active), [shown, active])
  const isOffline = useSource().origin === 'slice'
  const now = useNow()
  const isLive = !isOffline && (totals?.open ?? 0) > 0
  const end = Math.max(totals?.to ?? 0, isLive ? now : 0)
  const range = rangeIn(params.range)
  const idles = useMemo(() => (totals ? idlesUntil(totals, end) : []), [totals, end])
  const whole = useMemo(
    () => new TimeScale(totals?.from ?? 0, end, params.idle === 'shown' ? [] : idles),
    [totals, end, idles, params.idle],
  )
  const scale = useMemo(
    () => (range ? new TimeScale(whole.from + range.from, whole.from + range.to, whole.idles) : whole),
    [whole, params.range],
  )

  const goTo = (index: number) => {
    const line = shown[index]?.line
    if (!line) return
    setActive(line.n)
    setReveal({ index })
  }
  // A link to an event: its line is marked as soon as it is there.
  const isFound = useRef(false)
  useEffect(() => {
    if (isFound.current || params.at === undefined || shown.length === 0) return
    void store.find(params.at).then(n => {
      const index = shown.findIndex(({ line }) => line.n === n)
      if (index < 0 || isFound.current) return
      isFound.current = true
      goTo(index)
      scroller.current?.focus({ preventScroll: true })
    })
  }, [store, params.at, shown])
  // The URL names the line that the person is at, when they stay there.
  const activeEvent = active === undefined ? undefined : lines[active]?.event
  useEffect(() => {
    if (activeEvent === undefined || activeEvent === params.at) return
    const timer = setTimeout(() => change({ at: activeEvent }, true), 300)
    return () => clearTimeout(timer)
  }, [activeEvent])
  const setOpen = (n: number, isOpen: boolean) => {
    const changed = new Set(collapsed)
    if (isOpen) changed.delete(n)
    else changed.add(n)
    setCollapsed(changed)
  }
  const at = shown[activeIndex]?.line
  const isCollapsed = at !== undefined && collapsed.has(at.n)
  const step = (by: number) => () => {
    scroller.current?.focus({ preventScroll: true })
    goTo(Math.max(0, Math.min(shown.length - 1, activeIndex + by)))
  }
  useHotkeys({
    j: step(1),
    k: step(-1),
    ArrowDown: step(1),
    ArrowUp: step(-1),
    Escape: () => (open.length > 0 ? closeAll() : change({ range: '' }, true)),
    w: () => at && show(at.event, 'why'),
    ArrowLeft: () => {
      if (!at) return
      if (at.below > 0 && !isCollapsed) setOpen(at.n, false)
      else if (at.parent !== undefined) goTo(shown.findIndex(({ line }) => line.n === at.parent))
    },
    ArrowRight: () => {
      if (isCollapsed) setOpen(at.n, true)
      else if (at && at.below > 0) goTo(activeIndex + 1)
    },
  })

  return (
    <Page
      title="Trace"
      about={<Id id={correlation} />}
      actions={totals && <Totals totals={totals} isLive={isLive} end={end} />}
      toolbar={
        <>
          <Link to={isOffline ? '/offline' : '/traces'} className={styles.back} title="All traces">
            <Icon name="right" />
          </Link>
          <FilterField
            label="Text"
            placeholder="Filter: name, text, id"
            icon="search"
            width={220}
            value={params.text ?? ''}
            onChange={text => change({ text }, true)}
          />
          <Button pressed={filter.failed} onClick={() => change({ failed: filter.failed ? '' : '1' }, true)}>
            Failed only{totals && totals.failed > 0 ? ` (${totals.failed})` : ''}
          </Button>
          <Button look="quiet" onClick={() => setCollapsed(new Set(collapsed.size > 0 ? [] : parents(shown)))}>
            {collapsed.size > 0 ? 'Expand all' : 'Collapse all'}
          </Button>
          {!isOffline && <OperationButton commands={[{ action: 'redrive', correlation }]} />}
          {idles.length > 0 && (
            <Button
              look="quiet"
              pressed={params.idle !== 'shown'}
              title="Periods in which nothing happened take little room on the axis"
              onClick={() => change({ idle: params.idle === 'shown' ? '' : 'shown' }, true)}
            >
              Fold idle time
            </Button>
          )}
        </>
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
                {...(activeIndex >= 0 && { active: activeIndex })}
                onActive={index => setActive(shown[index]!.line.n)}
                onOpen={index => toggle(shown[index]!.line.event)}
                isSelected={index => open.includes(shown[index]!.line.event)}
                reveal={reveal}
              >
                {index => {
                  const { line, isContext } = shown[index]!
                  return (
                    <TraceRow
                      line={line}
                      store={store}
                      scale={scale}
                      now={end}
                      isContext={isContext}
                      isCollapsed={collapsed.has(line.n)}
                      onCollapse={isNow => setOpen(line.n, !isNow)}
                    />
                  )
                }}
              </VirtualRows>
            )}
          </>
        )}
      </section>
      {open.length > 0 && (
        <LiveTextsContext value={store}>
          <Inspector ids={open} onClose={close} />
        </LiveTextsContext>
      )}
    </Page>
  )
}

/** Collapsing all leaves the first two levels. */
const parents = (shown: readonly { line: { n: number; depth: number; below: number } }[]) =>
  shown.flatMap(({ line }) => (line.below > 0 && line.depth > 0 ? [line.n] : []))
