import { expect, test } from 'vitest'
import { binomialTail, detectableRate, holm, pairedDifference, signTest, wilson } from './statistics.ts'
import { FieldParities, isFailingVerdict, reportAlpha } from './field-parity.ts'
import type { LaneComparison } from './comparison.ts'

test('known values', () => {
  expect(binomialTail(8, 10, 0.5)).toBeCloseTo(56 / 1024, 12)
  expect(signTest(15, 0)).toBeCloseTo(2 ** -15, 12)
  expect(binomialTail(300, 10_000, 0.02)).toBeGreaterThan(0)
  // Wilson for 8 of 10; the example of Holm with three tests.
  expect(wilson(8, 10).low).toBeCloseTo(0.4902, 3)
  expect(wilson(8, 10).high).toBeCloseTo(0.9433, 3)
  expect(holm([0.01, 0.04, 0.03]).map(p => Math.round(p * 1e4) / 1e4)).toEqual([0.03, 0.06, 0.06])
  const { low, high } = pairedDifference(20, 0, 1_000)
  expect(low).toBeGreaterThan(0.01)
  expect(high).toBeLessThan(0.035)
  expect(detectableRate(10, 5, reportAlpha)).toBeUndefined()
  expect(detectableRate(1_500, 5, reportAlpha)).toBeLessThan(0.02)
})

/** A generator of numbers from 0 to 1, the same each time. Source: mulberry32, Tommy Ettinger. */
function random(seed: number) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Fields with the probability that an answer has another value than the usual one: from never to always. */
const fields = { total: 0, currency: 0, rank: 0.01, text: 0.3, createdAt: 1, id: 1, ...Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`score${i}`, (i + 1) / 20])) } // biome-ignore format: one line

/** A report on answers of unchanged code, apart from what `regression` adds to the candidate's. */
function report(seed: number, requests: number, regression: Record<string, number> = {}) {
  const next = random(seed)
  const parities = new FieldParities()
  for (let i = 0; i < requests; i++) {
    const answer = (more: Record<string, number> = {}) =>
      Object.entries(fields).map(([path, noise]) => (next() < noise + (more[path] ?? 0) ? next() : path))
    const [old, repeat, candidate] = [answer(), answer(), answer(regression)]
    const differing = (other: unknown[]) =>
      Object.keys(fields).flatMap((path, at) => (other[at] === old[at] ? [] : [{ path }]))
    parities.add(comparison(differing(candidate), differing(repeat)), 'c')
  }
  return parities.result(0)
}

function comparison(differences: { path: string }[], noise: { path: string }[]): LaneComparison {
  const lane = { ms: 1, correlationid: 'c' }
  return { strangler: 's', version: 1, served: 'old', old: lane, candidate: lane, repeat: lane, differences, noise }
}

test('100 reports on unchanged code with fields that vary by chance have no false alarm', () => {
  for (let seed = 1; seed <= 100; seed++)
    expect(report(seed, 600).filter(({ verdict }) => isFailingVerdict(verdict))).toEqual([])
})

test('a regression of 2 % in one field is found, with or without noise in it', () => {
  expect(report(7, 1_500, { total: 0.02 })[0]).toMatchObject({ path: 'total', verdict: 'regression', triples: 1_500 })
  expect(report(8, 4_000, { rank: 0.02 })[0]).toMatchObject({ path: 'rank', verdict: 'regression', triples: 4_000 })
})
