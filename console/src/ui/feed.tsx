import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef } from 'react'
import styles from './feed.module.css'

interface FeedProps {
  readonly label: string
  readonly count: number
  /** Height of a row that was not shown yet, in px. */
  readonly estimate: number
  readonly keyOf: (index: number) => string | number
  readonly children: (index: number) => ReactNode
  /** The row to begin with. Default: the end, which the feed then follows. */
  readonly startAt?: number | undefined
  /** Called with the first and the last row that exist. */
  /** Above the first row and below the last one, in px. */
  readonly padding?: number
  readonly onRange?: (first: number, last: number) => void
}

/** A long list of rows of any height, of which only those in view exist. It opens at its end, and stays there while it grows. */
export function Feed({ label, count, estimate, keyOf, children, startAt, padding = 0, onRange }: FeedProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => estimate,
    getItemKey: keyOf,
    overscan: 6,
    anchorTo: 'end',
    followOnAppend: true,
    scrollEndThreshold: 60,
    paddingStart: padding,
    paddingEnd: padding,
  })
  const isEmpty = count === 0
  useLayoutEffect(() => {
    if (isEmpty) return
    if (startAt === undefined) rows.scrollToEnd()
    else rows.scrollToIndex(startAt, { align: 'start' })
    // Where it begins, not what it follows.
  }, [isEmpty])
  // A browser scrolls slowly to the ends, and stops where rows turn out to be higher.
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || (event.key !== 'Home' && event.key !== 'End')) return
    event.preventDefault()
    if (event.key === 'Home') rows.scrollToIndex(0, { align: 'start' })
    else rows.scrollToEnd()
  }
  const items = rows.getVirtualItems()
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0]
  useEffect(() => onRange?.(first, last), [first, last, count])
  return (
    // A region that scrolls must be reachable by keyboard.
    <div ref={scroller} className={styles.feed} role="feed" aria-label={label} tabIndex={0} onKeyDown={onKeyDown}>
      <div className={styles.rows} style={{ height: rows.getTotalSize() }}>
        {items.map(item => (
          <div
            key={item.key}
            ref={rows.measureElement}
            data-index={item.index}
            role="article"
            aria-posinset={item.index + 1}
            aria-setsize={count}
            className={styles.row}
            style={{ transform: `translateY(${item.start}px)` }}
          >
            {children(item.index)}
          </div>
        ))}
      </div>
    </div>
  )
}
