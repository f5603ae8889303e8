import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { program, type Program } from './language.ts'
import { run, type Log, type Mode } from './run.ts'
import { records, wrongs } from './verify.ts'

/*
 * What code holds in memory is what the log says: random programs that change everything they touch give the same, and record
 * the same, in one process, in several, from the journal alone, and when they are killed; and replay agrees. VALUES_TIMES multiplies the
 * number of programs (`npm run values`: by 10).
 */

const seed = Number(process.env.VALUES_SEED ?? Math.floor(Math.random() * 2 ** 31))
const said = `VALUES_SEED=${seed}`
const times = Number(process.env.VALUES_TIMES ?? 1)
/** Others for each test. */
const sample = (count: number, nth: number): Program[] =>
  fc.sample(program, { numRuns: count * times, seed: seed + nth })

const hot: Mode = { kind: 'one process', cold: false }
const cold: Mode = { kind: 'one process', cold: true }
const several: Mode = { kind: 'several processes', cold: true }
/** Kills lie at random boundaries, which follow from the seed. */
const killed = (most: number): Mode => {
  const fatal = fc.sample(fc.integer({ min: 20, max: 300 }), { numRuns: most, seed })
  return { kind: 'killed', cold: false, fatal: () => fatal.pop()!, most }
}

async function embedded(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-values-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  return home
}
const onNats = async () => `${natsUrl()}/values-${randomUUID()}`

/** Runs the programs in each mode, each on a log of its own. */
async function agree(log: () => Promise<string>, programs: readonly Program[], modes: readonly Mode[]) {
  const logs: Log[] = []
  for (const mode of modes) {
    const ran = await run(await log(), programs, mode)
    const wrong = await wrongs(ran, programs)
    expect(wrong.slice(0, 3), `${said}, in ${mode.kind}${mode.cold ? ', cold' : ''}: ${wrong.length} wrong`).toEqual([])
    if (mode.kind === 'killed') expect(ran.deaths).toBeGreaterThan(1)
    logs.push(ran)
  }
  const [first, ...others] = logs.map(each => records(each, programs))
  for (const other of others)
    for (const [i, turns] of first!)
      expect(other.get(i), `${said}, program ${i}: ${JSON.stringify(programs[i])}`).toEqual(turns)
}

describe('random programs give and record the same', { timeout: 240_000 * times }, () => {
  it('in one process, and from the journal alone', () => agree(embedded, sample(140, 0), [hot, cold]))
  it('in several processes', () => agree(embedded, sample(60, 1), [hot, several]))
  it('when they are killed again and again', () => agree(embedded, sample(60, 2), [hot, killed(4)]))
})

describeNats('random programs give and record the same on nats', () => {
  it('in one process, in several, and from the journal alone', { timeout: 240_000 * times }, () =>
    agree(onNats, sample(20, 3), [hot, cold, several]),
  )
  it('when they are killed again and again', { timeout: 240_000 * times }, () =>
    agree(onNats, sample(30, 4), [hot, killed(3)]),
  )
})
