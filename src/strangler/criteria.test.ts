import { expect, test } from 'vitest'
import { violationIn, type RollbackCriteria } from './criteria.ts'
import { addLatency, quantile, type LatencyHistogram } from './histogram.ts'
import { Meter, type Measurement } from './meter.ts'

const criteria: RollbackCriteria = { errorRate: 0.02, p95: 1_000, parity: 0.98, window: 60_000, minRequests: 50 }
const longAgo = Infinity

/** One measurement with these figures in place of nothing. */
function measured(more: Partial<Measurement> = {}): Measurement {
  const meter = new Meter('orders', () => 0)
  meter.mirrored(1, 'asked')
  return { ...meter.take()[0]!, mirrors: { asked: 0, compared: 0, busy: 0, away: 0 }, ...more }
}

const side = (finished: number, failed = 0, ms = 10) => {
  const latency: LatencyHistogram = {}
  for (let i = 0; i < finished; i++) addLatency(latency, ms)
  return { asked: finished, finished, failed, latency }
}

test('judges errors and latency once there are enough requests', () => {
  const judge = (candidate: Measurement['candidate'], more: Partial<Measurement> = {}) =>
    violationIn([measured({ candidate, ...more })], criteria, longAgo)
  expect(judge(side(49, 49))).toBeUndefined()
  expect(judge(side(50, 1))).toBeUndefined()
  expect(judge(side(50, 2))).toMatchObject({ criterion: 'errorRate', measured: 0.04, requests: 50 })
  expect(judge(side(60, 0, 5_000))).toMatchObject({ criterion: 'p95', limit: 1_000 })
  // Requests that are open for too long count before they end.
  expect(judge(side(50), { open: 10, overdue: 10 })).toMatchObject({ criterion: 'p95', requests: 60 })
})

test('no data is a failure only if the candidate was asked, for a whole window, while old had enough requests', () => {
  const asked = { asked: 3, finished: 0, failed: 0, latency: {} }
  const judge = (old: number, candidate: Measurement['candidate'], age: number) =>
    violationIn([measured({ old: side(old), candidate })], criteria, age)
  expect(judge(50, asked, longAgo)).toMatchObject({ criterion: 'no answers', requests: 50 })
  expect(judge(49, asked, longAgo)).toBeUndefined()
  expect(judge(50, asked, 1_000)).toBeUndefined()
  // At a small percentage there may be no user on the candidate.
  expect(judge(500, side(0), longAgo)).toBeUndefined()
})

test('parity: a field that differs counts, one that old varies in itself does not', () => {
  const judge = (fields: Measurement['fields'], triples: number) =>
    violationIn([measured({ pairs: 100, triples, fields })], criteria, longAgo)
  const total = (onlyCandidate: number, onlyRepeat: number, differed = onlyCandidate) => ({
    total: { differed, onlyCandidate, onlyRepeat },
  })
  expect(judge(total(40, 0), 100)).toMatchObject({ criterion: 'parity', field: 'total', measured: 0.6 })
  expect(judge(total(45, 40), 100)).toBeUndefined()
  // Chance is not ruled out.
  expect(judge(total(10, 0), 100)).toBeUndefined()
  // Without a repetition every difference counts.
  expect(judge(total(0, 0, 3), 0)).toMatchObject({ criterion: 'parity', measured: 0.97 })
})

test('quantiles are at most 10 % too high', () => {
  const latency: LatencyHistogram = {}
  for (let ms = 1; ms <= 1_000; ms++) addLatency(latency, ms)
  const p95 = quantile([latency], 0.95)!
  expect(p95).toBeGreaterThanOrEqual(950)
  expect(p95).toBeLessThan(950 * 1.1)
  expect(quantile([], 0.95)).toBeUndefined()
})

test('a meter counts by version, and measures again while a request is open', () => {
  const meter = new Meter('orders', () => 0)
  const request = meter.begin('candidate', 3)
  meter.begin('old', 4).end(true)
  const [first, second] = meter.take(0)
  expect(first).toMatchObject({ version: 3, open: 1, candidate: { asked: 1, finished: 0 } })
  expect(second).toMatchObject({ version: 4, open: 0, old: { finished: 1, failed: 1 } })
  expect(meter.take()).toMatchObject([{ version: 3, open: 1, candidate: { asked: 0 } }])
  request.end(false)
  expect(meter.take()).toMatchObject([{ version: 3, open: 0, candidate: { finished: 1, failed: 0 } }])
  expect(meter.take()).toEqual([])
})
