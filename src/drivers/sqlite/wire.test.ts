import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { DispatchedDelivery, EventRow, Settlement, WriterOp } from './protocol.ts'
import { packDeliveries, packOps, unpackDeliveries, unpackOps } from './wire.ts'

const text = fc.string({ maxLength: 4 })
const number = fc.integer()
const reason = fc.record({ code: fc.constant('E_TOOL_FAILED'), message: text })

const events = fc.array(
  fc.record<EventRow>({
    id: text,
    type: text,
    target: fc.option(text),
    correlation: text,
    json: text,
    earlyToken: number,
  }),
  { maxLength: 3 },
)
const settlement = fc.record<Settlement>({
  consumer: number,
  eventId: text,
  position: number,
  fencingToken: number,
  outcome: fc.oneof(
    fc.constant({ kind: 'done' } as const),
    fc.record({ kind: fc.constant('retry' as const), after: number, reason, memo: text }),
    fc.record({ kind: fc.constant('discard' as const), reason }),
  ),
})
const op: fc.Arbitrary<WriterOp> = fc.oneof(
  fc.record({ kind: fc.constant('publish' as const), events }),
  fc.record({ kind: fc.constant('settle' as const), settlement, events }),
  fc.record({
    kind: fc.constant('commit' as const),
    group: text,
    task: text,
    expect: number,
    wake: fc.option(number),
    snapshot: fc.option(text, { nil: undefined }),
    end: fc.boolean(),
    settlements: fc.array(settlement, { maxLength: 3 }),
    events,
  }),
  fc.record({ kind: fc.constant('restoreWake' as const), task: text, version: number, wake: number }),
  fc.constant({ kind: 'close' } as const),
)
const common = { consumer: number, attempt: number, since: number, position: number, memo: fc.option(text) }
const delivery: fc.Arbitrary<DispatchedDelivery> = fc.oneof(
  fc.record({ ...common, op: fc.nat(), row: fc.nat(), json: fc.constant('') }),
  fc.record({ ...common, op: fc.constant(-1), row: fc.constant(0), json: text }),
)

it('operations and deliveries arrive as they were sent', () => {
  fc.assert(
    fc.property(fc.array(op), fc.array(delivery), (ops, deliveries) => {
      expect(unpackOps(structuredClone(packOps(ops)))).toEqual(ops)
      expect(unpackDeliveries(structuredClone(packDeliveries(deliveries)))).toEqual(deliveries)
    }),
  )
})
