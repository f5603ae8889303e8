import { isTruncated } from '../../api/task-shapes.ts'
import { JsonView } from '../../ui/json-view.tsx'
import { LargeData } from '../event/payload.tsx'

/** Data in a turn: as a tree, or its beginning if it is too large. */
export function DataView({ value, label }: { value: unknown; label: string }) {
  return isTruncated(value) ? <LargeData {...value} /> : <JsonView value={value} label={label} />
}
