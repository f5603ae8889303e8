import type { Bus } from './bus.ts'
import { formatCursor, offsetsOf, withOffset } from './cursor.ts'
import type { Cursor, StoredEvent } from './driver.ts'
import { TimeSearch } from './search-by-time.ts'

/** A cursor that covers what is older: in each partition, times follow offsets closely enough for a binary search. */
export async function cursorAt(bus: Bus, ms: number, head: Cursor): Promise<Cursor> {
  const offsetAt = async (last: number, partition: number) => {
    const search = new TimeSearch({ first: 1, head: last, cutoff: ms })
    // Both ends of a reading cover all other partitions, so that nothing of them is read.
    const upTo = (offset: number) => withOffset(head, partition, offset)
    for (let probe; (probe = search.probe) !== undefined; ) {
      let found: StoredEvent | undefined
      for await (found of bus.read({ after: upTo(probe - 1), until: upTo(search.below - 1) })) break
      search.answer(found && { offset: found.position.offset, time: Date.parse(found.event.time) })
    }
    return search.offset - 1
  }
  return formatCursor(await Promise.all(offsetsOf(head, bus.partitions).map(offsetAt)))
}
