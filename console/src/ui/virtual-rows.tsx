import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, type ReactNode, type RefObject, useEffect, useId, useRef } from 'react'
import styles from './virtual-rows.module.css'

interface VirtualRowsProps {
  readonly label: string
  readonly count: number
  /** In px: all rows have the same height unless they are measured. */
  readonly rowHeight?: number
  readonly measured?: boolean
  readonly keyOf: (index: number) => string
  readonly children: (index: number) => ReactNode
  /** The row that the keyboard is at. */
  readonly active?: number
  readonly onActive?: (index: number) => void
  /** Enter on the active row, or a click. */
  readonly onOpen?: (index: number) => void
  readonly isSelected?: (index: number) => boolean
  /** Whether several rows may be selected. */
  readonly multiple?: boolean
  readonly scroller?: RefObject<HTMLDivElement | null>
  readonly onScroll?: () => void
  readonly footer?: ReactNode
  /** Of a tree: the level of a row, from 1 on, and whether what is below it is shown. */
  readonly levelOf?: (index: number) => { readonly level: number; readonly isExpanded?: boolean }
  /** Scrolls to a row, whenever this is another object. */
  readonly reveal?: { readonly index: number } | undefined
}

/** A long list of which only the rows in view exist. Arrows, j and k move, Enter opens. */
export function VirtualRows(props: VirtualRowsProps) {
  const {
    label,
    count,
    rowHeight = 32,
    measured = false,
    keyOf,
    children,
    active,
    onActive,
    onOpen,
    isSelected,
  } = props
  const id = useId()
  const own = useRef<HTMLDivElement>(null)
  const scroller = props.scroller ?? own
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: keyOf,
    overscan: 12,
  })
  const { reveal, levelOf } = props
  useEffect(() => {
    if (reveal && reveal.index >= 0) rows.scrollToIndex(reveal.index, { align: 'auto' })
  }, [reveal])
  const move = (to: number) => {
    if (count === 0) return
    const index = Math.max(0, Math.min(count - 1, to))
    onActive?.(index)
    rows.scrollToIndex(index)
  }
  const page = () => Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 1)
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.metaKey || event.ctrlKey || event.altKey) return
    const at = active ?? -1
    const steps: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      j: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      k: () => move(at - 1),
      PageDown: () => move(at + page()),
      PageUp: () => move(at - page()),
      Home: () => move(0),
      End: () => move(count - 1),
      Enter: () => active !== undefined && onOpen?.(active),
    }
    const step = steps[event.key]
    if (!step) return
    event.preventDefault()
    step()
  }
  return (
    <div
      ref={scroller}
      className={styles.scroller}
      // The list takes the focus, and says which row is active.
      tabIndex={0}
      role={levelOf ? 'treegrid' : 'grid'}
      aria-rowcount={count}
      aria-multiselectable={props.multiple}
      aria-label={label}
      aria-activedescendant={active === undefined ? undefined : `${id}-${active}`}
      onKeyDown={onKeyDown}
      onScroll={props.onScroll}
    >
      <div style={{ height: rows.getTotalSize(), position: 'relative' }} role="rowgroup">
        {rows.getVirtualItems().map(item => (
          <div
            key={item.key}
            id={`${id}-${item.index}`}
            aria-rowindex={item.index + 1}
            data-index={item.index}
            ref={measured ? rows.measureElement : undefined}
            className={styles.row}
            role="row"
            aria-level={levelOf?.(item.index).level}
            aria-expanded={levelOf?.(item.index).isExpanded}
            aria-selected={isSelected?.(item.index) ?? item.index === active}
            data-active={item.index === active || undefined}
            style={{ transform: `translateY(${item.start}px)`, ...(!measured && { height: rowHeight }) }}
            onClick={() => {
              onActive?.(item.index)
              onOpen?.(item.index)
            }}
          >
            <div role="gridcell" className={styles.cell}>
              {children(item.index)}
            </div>
          </div>
        ))}
      </div>
      {props.footer}
    </div>
  )
}
