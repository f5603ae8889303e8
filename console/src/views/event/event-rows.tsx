import { useMemo, useState, type RefObject } from 'react'
import type { Row } from '../../api/shapes.ts'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { EventLine } from './event-line.tsx'
import { useOpenEvents } from './open-events.ts'

/** In px. */
export const eventRowHeight = 30

interface EventRowsProps {
  readonly label: string
  readonly rows: readonly Row[]
  readonly scroller: RefObject<HTMLDivElement | null>
  readonly onScroll: () => void
}

/** A list of events, which open beside it. */
export function EventRows({ label, rows, scroller, onScroll }: EventRowsProps) {
  const { open, toggle } = useOpenEvents()
  const [active, setActive] = useState<string>()
  const activeIndex = useMemo(() => rows.findIndex(({ id }) => id === active), [rows, active])
  return (
    <VirtualRows
      label={label}
      scroller={scroller}
      onScroll={onScroll}
      count={rows.length}
      rowHeight={eventRowHeight}
      keyOf={index => rows[index]!.id}
      {...(activeIndex >= 0 && { active: activeIndex })}
      onActive={index => setActive(rows[index]!.id)}
      onOpen={index => toggle(rows[index]!.id)}
      isSelected={index => open.includes(rows[index]!.id)}
    >
      {index => <EventLine row={rows[index]!} />}
    </VirtualRows>
  )
}
