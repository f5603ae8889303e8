import type { CloudEvent, EncodedEvent } from '../../driver.ts'
import type { MemoryRow } from './log.ts'

export const entryOfMemoryRow = ({ json }: MemoryRow): EncodedEvent => ({ event: JSON.parse(json) as CloudEvent, json })
