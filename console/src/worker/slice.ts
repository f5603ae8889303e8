import { TidingsError } from '../../../src/errors.ts'
import type { CloudEvent } from '../../../src/event.ts'
import type { StoredEvent } from '../../../src/bus/driver.ts'
import { parseId } from '../../../src/bus/ids.ts'
import { routedType } from '../../../src/bus/routed.ts'
import { sliceLines } from '../../../src/replay/slice-lines.ts'
import { isFailureType, problemOf, usageOf } from '../../../src/trace/outcome.ts'
import { publisherOf } from '../../../src/trace/publisher.ts'
import { reasonsFor } from '../../../src/trace/reasons.ts'
import { type Row, slim } from '../../../src/trace/slim.ts'
import { turnIn } from '../../../src/trace/tree.ts'
import { whyRecords } from '../../../src/trace/why-records.ts'
import { matchesType } from '../../../src/pattern.ts'
import type { EventDetails, EventPage } from '../api/shapes.ts'
import { fileBytes } from './file-bytes.ts'
import type { CorrelationRow, EventFilter, SliceSummary } from './protocol.ts'

const maxInlineBytes = 256 * 1024
const previewChars = 16 * 1024

/** An exported slice in memory: what the gateway answers of a log, it answers of the slice. */
export class Slice {
  readonly #file: File
  /** In the order of the log. */
  readonly #events: StoredEvent[] = []
  readonly #byId = new Map<string, CloudEvent>()
  readonly #byCorrelation = new Map<string, CloudEvent[]>()
  readonly #documents = new Map<string, string>()
  readonly #rows = new WeakMap<CloudEvent, Row>()

  private constructor(file: File) {
    this.#file = file
  }

  /** @throws TidingsError `E_SLICE_INVALID` */
  static async read(file: File): Promise<Slice> {
    const slice = new Slice(file)
    for await (const line of sliceLines(await fileBytes(file), file.name))
      if ('document' in line) slice.#documents.set(line.document, line.value)
      else slice.#events.push(line)
    slice.#events.sort(inTime)
    for (const { event } of slice.#events) slice.#add(event)
    return slice
  }

  get summary(): SliceSummary {
    const { name, size } = this.#file
    const times = [this.#events[0], this.#events.at(-1)].map(stored => stored && Date.parse(stored.event.time))
    return {
      name,
      bytes: size,
      events: this.#events.length,
      documents: this.#documents.size,
      correlations: this.#byCorrelation.size,
      ...(times[0] !== undefined && { from: times[0], to: times[1]! }),
    }
  }

  events(filter: EventFilter, { before, limit }: { before?: string; limit: number }): EventPage {
    const matches = matcher(filter)
    const events: EventPage['events'][number][] = []
    let place = before === undefined ? this.#events.length : Number(before)
    while (place > 0 && events.length < limit) {
      const row = this.#row(this.#events[--place]!.event)
      if (matches(row)) events.push({ ...row, cursor: String(place) })
    }
    return { events, head: String(this.#events.length), ...(place > 0 && { next: String(place) }) }
  }

  correlations(): CorrelationRow[] {
    return [...this.#byCorrelation]
      .map(([correlation, events]) =>
        correlationRow(
          correlation,
          events.map(event => this.#row(event)),
        ),
      )
      .toSorted((one, other) => other.at - one.at)
  }

  /** All rows of a correlation, and of the workflow instances that its events were routed to. */
  trace(correlation: string): Row[] {
    const rows = this.#rowsOf(correlation)
    const ids = new Set(rows.map(({ id }) => id))
    const seen = new Set([correlation])
    for (let isNew = true; isNew; ) {
      isNew = false
      for (const [instance, events] of this.#byCorrelation) {
        if (seen.has(instance) || !events.some(event => event.type === routedType && ids.has(event.causationid ?? '')))
          continue
        const foreign = new Set(
          events.flatMap(({ id, type, causationid }) =>
            type === routedType && !ids.has(causationid ?? '') ? [id] : [],
          ),
        )
        const own = this.#rowsOf(instance).filter(
          ({ id, type, causationid }) =>
            !foreign.has(id) && !(type === 'workflow.late' && foreign.has(causationid ?? '')),
        )
        for (const { id } of own) ids.add(id)
        rows.push(...own)
        seen.add(instance)
        isNew = true
      }
    }
    return rows
  }

  /** @throws TidingsError `E_NOT_FOUND` */
  event(id: string): EventDetails {
    const event = this.#find(id)
    const json = JSON.stringify(event.data) ?? 'null'
    const bytes = new TextEncoder().encode(json).length
    if (bytes <= maxInlineBytes) return { event, bytes }
    return {
      event: { ...event, data: null },
      bytes,
      truncated: true,
      preview: json.slice(0, previewChars).toWellFormed(),
    }
  }

  /** The whole data of an event, as JSON. @throws TidingsError `E_NOT_FOUND` */
  data(id: string): string {
    return JSON.stringify(this.#find(id).data, undefined, 2) ?? 'null'
  }

  /** @throws TidingsError `E_NOT_FOUND` */
  async why(id: string): Promise<object[]> {
    const why = await reasonsFor(this.#find(id), {
      byId: async other => this.#byId.get(other),
      isVisible: () => true,
      resolved: async event => event,
      document: async <Document>(key: string) => {
        const text = this.#documents.get(key)
        return text === undefined ? undefined : (JSON.parse(text) as Document)
      },
    })
    return [...whyRecords(why)]
  }

  #add(event: CloudEvent): void {
    this.#byId.set(event.id, event)
    const others = this.#byCorrelation.get(event.correlationid)
    if (others) others.push(event)
    else this.#byCorrelation.set(event.correlationid, [event])
  }

  #row(event: CloudEvent): Row {
    let row = this.#rows.get(event)
    if (!row) this.#rows.set(event, (row = slim(event)))
    return row
  }

  #rowsOf(correlation: string): Row[] {
    return (this.#byCorrelation.get(correlation) ?? []).map(event => this.#row(event))
  }

  #find(id: string): CloudEvent {
    const event = this.#byId.get(id)
    if (event) return event
    throw new TidingsError('E_NOT_FOUND', `the slice has no event ${id.slice(0, 256)}`, {
      next: 'It was not among the events that were exported. Export a wider selection.',
    })
  }
}

/** Partitions have no common order but time. */
function inTime(one: StoredEvent, other: StoredEvent): number {
  const [a, b] = [Date.parse(one.event.time), Date.parse(other.event.time)]
  return a - b || one.position.partition - other.position.partition || one.position.offset - other.position.offset
}

function matcher({ type, source, correlation, text, failed }: EventFilter): (row: Row) => boolean {
  const words = (text ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  return row =>
    (!type || matchesType(type, row.type)) &&
    (!source || row.source === source) &&
    (!correlation || row.correlationid === correlation) &&
    (!failed || isFailureType(row.type)) &&
    words.every(word => `${row.summary} ${row.type} ${row.id}`.toLowerCase().includes(word.replace(/\*$/, '')))
}

const isTapAnswer = ({ source, call }: Row) => call !== undefined && publisherOf(source).kind === 'tap'

function correlationRow(correlation: string, rows: readonly Row[]): CorrelationRow {
  const tasks = new Map<string, string | undefined>()
  for (const row of rows) {
    const turn = turnIn(row)
    if (turn) {
      const { task } = parseId(row.id)!
      tasks.set(task, turn.end ?? tasks.get(task))
    }
  }
  const ends = [...tasks.values()]
  return {
    correlation,
    first: rows.find(({ causationid }) => causationid === undefined) ?? rows[0]!,
    events: rows.length,
    tasks: tasks.size,
    live: ends.filter(end => end === undefined).length,
    failed: ends.filter(end => end === 'failed').length,
    failedCalls: rows.filter(row => isTapAnswer(row) && problemOf(row) !== undefined).length,
    ...usageOf(rows),
    at: Date.parse(rows.at(-1)!.time),
  }
}
