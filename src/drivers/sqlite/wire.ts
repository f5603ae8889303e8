import type { DeliveryOutcome } from '../../bus/driver.ts'
import type { DispatchedDelivery, EventRow, Settlement, WriterFailure, WriterOp, WriterReply } from './protocol.ts'

/*
 * Messages between the threads. A structured clone writes the name of each property of each object, so the operations and
 * deliveries of the hot path travel as the cells of one array.
 */

type Cell = string | number | boolean | null | undefined | DeliveryOutcome | WriterOp
export type Cells = readonly Cell[]

export interface MessageToWriter {
  readonly epoch: number
  readonly ops: Cells
}

interface PackedReply extends Omit<WriterReply, 'deliveries'> {
  readonly kind: 'reply'
  readonly deliveries: Cells
}

export type MessageFromWriter = PackedReply | WriterFailure | { readonly kind: 'ping' }

/** The most frequent outcome; it travels as null. */
const done: DeliveryOutcome = { kind: 'done' }

export function packOps(ops: readonly WriterOp[]): Cells {
  const cells: Cell[] = []
  for (const op of ops) packOp(cells, op)
  return cells
}

export function unpackOps(cells: Cells): WriterOp[] {
  const reader = new CellReader(cells)
  const ops: WriterOp[] = []
  while (reader.hasMore) ops.push(unpackOp(reader))
  return ops
}

function packOp(cells: Cell[], op: WriterOp): void {
  if (op.kind === 'publish') {
    cells.push('publish')
    packEvents(cells, op.events)
  } else if (op.kind === 'settle') {
    cells.push('settle')
    packSettlement(cells, op.settlement)
    packEvents(cells, op.events)
  } else if (op.kind === 'commit') {
    cells.push('commit', op.group, op.task, op.expect, op.wake, op.snapshot, op.end, op.settlements.length)
    for (const settlement of op.settlements) packSettlement(cells, settlement)
    packEvents(cells, op.events)
  } else {
    cells.push(op)
  }
}

function unpackOp(cells: CellReader): WriterOp {
  const kind = cells.next<WriterOp | 'publish' | 'settle' | 'commit'>()
  switch (kind) {
    case 'publish':
      return { kind, events: unpackEvents(cells) }
    case 'settle':
      return { kind, settlement: unpackSettlement(cells), events: unpackEvents(cells) }
    case 'commit':
      return {
        kind,
        group: cells.next(),
        task: cells.next(),
        expect: cells.next(),
        wake: cells.next(),
        snapshot: cells.next(),
        end: cells.next(),
        settlements: unpackSettlements(cells),
        events: unpackEvents(cells),
      }
    default:
      return kind
  }
}

function packSettlement(cells: Cell[], { consumer, eventId, position, fencingToken, outcome }: Settlement): void {
  cells.push(consumer, eventId, position, fencingToken, outcome.kind === 'done' ? null : outcome)
}

function unpackSettlement(cells: CellReader): Settlement {
  return {
    consumer: cells.next(),
    eventId: cells.next(),
    position: cells.next(),
    fencingToken: cells.next(),
    outcome: cells.next<DeliveryOutcome | null>() ?? done,
  }
}

function unpackSettlements(cells: CellReader): Settlement[] {
  const settlements: Settlement[] = []
  for (let left = cells.next<number>(); left > 0; left--) settlements.push(unpackSettlement(cells))
  return settlements
}

function packEvents(cells: Cell[], events: readonly EventRow[]): void {
  cells.push(events.length)
  for (const { id, type, target, correlation, json, earlyToken } of events)
    cells.push(id, type, target, correlation, json, earlyToken)
}

function unpackEvents(cells: CellReader): EventRow[] {
  const events: EventRow[] = []
  for (let left = cells.next<number>(); left > 0; left--)
    events.push({
      id: cells.next(),
      type: cells.next(),
      target: cells.next(),
      correlation: cells.next(),
      json: cells.next(),
      earlyToken: cells.next(),
    })
  return events
}

export function packDeliveries(deliveries: readonly DispatchedDelivery[]): Cells {
  const cells: Cell[] = []
  for (const { consumer, attempt, since, position, op, row, json, memo } of deliveries)
    cells.push(consumer, attempt, since, position, memo, op, op < 0 ? json : row)
  return cells
}

export function unpackDeliveries(cells: Cells): DispatchedDelivery[] {
  const reader = new CellReader(cells)
  const deliveries: DispatchedDelivery[] = []
  while (reader.hasMore) deliveries.push(unpackDelivery(reader))
  return deliveries
}

function unpackDelivery(cells: CellReader): DispatchedDelivery {
  const consumer = cells.next<number>()
  const attempt = cells.next<number>()
  const since = cells.next<number>()
  const position = cells.next<number>()
  const memo = cells.next<string | null>()
  const op = cells.next<number>()
  const row = op < 0 ? 0 : cells.next<number>()
  const json = op < 0 ? cells.next<string>() : ''
  return { consumer, attempt, since, position, op, row, json, memo }
}

class CellReader {
  readonly #cells: Cells
  #at = 0

  constructor(cells: Cells) {
    this.#cells = cells
  }

  get hasMore(): boolean {
    return this.#at < this.#cells.length
  }

  /** The next cell, which is a `T` because `pack…` wrote one there. */
  next<T extends Cell>(): T {
    return this.#cells[this.#at++] as T
  }
}
