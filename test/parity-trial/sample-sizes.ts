import { FieldParities } from '../../src/strangler/field-parity.ts'
import type { LaneComparison } from '../../src/strangler/comparison.ts'

/* How many compared answers a report needs to find a difference: simulated with the code that judges. */

interface Difference {
  /** The share of answers in which the candidate is wrong. */
  readonly rate: number
  /** In which `old` differs from itself. */
  readonly noise: number
}

const others = 10
const step = 50
const lane = { ms: 1, correlationid: '' }

/** The smallest sample with which this share of reports finds the difference, among ten other fields that vary. */
export function sampleSizeFor(difference: Difference, share: number, reports = 200): number {
  const all = Array.from({ length: reports }, () => new FieldParities())
  for (let n = step; ; n += step) {
    for (const fields of all) for (let i = 0; i < step; i++) fields.add(comparison(difference), '')
    const found = all.filter(each => each.result(0).find(({ path }) => path === 'field')?.verdict === 'regression')
    if (found.length >= share * reports) return n
  }
}

function comparison({ rate, noise }: Difference): LaneComparison {
  const drawn = (isWrong: boolean) => (isWrong ? 'wrong' : Math.random() < noise ? 'b' : 'a')
  const [old, repeat, candidate] = [drawn(false), drawn(false), drawn(Math.random() < rate)]
  const varying = Array.from({ length: others }, (_, i) => `other-${i}`).filter(() => Math.random() < 0.3)
  const again = Array.from({ length: others }, (_, i) => `other-${i}`).filter(() => Math.random() < 0.3)
  const paths = (names: readonly string[], differs: boolean) =>
    [...names, ...(differs ? ['field'] : [])].map(path => ({ path }))
  return {
    strangler: '', version: 1, served: 'old', old: lane, repeat: lane, candidate: lane,
    differences: paths(varying, candidate !== old), noise: paths(again, repeat !== old),
  } // biome-ignore format: one table
}
