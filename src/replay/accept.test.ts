import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { AcceptedDivergences } from './accept.ts'
import { clusterDivergences } from './cluster.ts'
import type { Change } from './compare.ts'
import { emitDivergence, thrownDivergence, type Divergence } from './divergence.ts'

const code = { version: 1, hash: '0' }
const found = {
  task: 't',
  program: 'desk',
  turn: 1,
  position: { partition: 0, offset: 1 },
  recordedBy: code,
  replayedBy: code,
}

/** An answer of `desk` that was "old" and is something else now. */
function changed(after: unknown, path: Change['path'] = ['data', 'lines', 0, 'text']): Divergence {
  const said = { id: 'e', type: 'answer', hash: '', data: null }
  return emitDivergence(
    found,
    { kind: 'changed', before: said, after: said, changes: [{ path, before: 'old', after }] },
    'x',
  )
}

const added = (data: unknown) =>
  emitDivergence(found, { kind: 'added', after: { id: 'e', type: 'note', hash: '', data } }, undefined)

const now = Date.parse('2026-11-29T12:00:00Z')

async function updated(divergences: readonly Divergence[], before = new AcceptedDivergences([], now)) {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-accept-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'accepted.json')
  before.update(file, clusterDivergences(divergences, new AcceptedDivergences()))
  return { file, text: await readFile(file, 'utf8') }
}

test('a divergence is accepted with the values that it had, and no later one at that path', async () => {
  const long = 'long '.repeat(100)
  const all = [changed('new'), changed('newer', ['data', 'lines', 7, 'text']), changed(long), added({ n: 1 })]
  const { file, text } = await updated(all)
  expect(text).not.toContain(long)
  const accepted = AcceptedDivergences.read(file)
  expect(all.filter(each => !accepted.accepts(each))).toEqual([])
  for (const other of [changed('newest'), changed(`${long}!`), changed(undefined), added({ n: 2 })])
    expect(accepted.check(other)).toMatchObject({ accepted: false, note: expect.stringContaining('other values') })
  expect(accepted.check(changed('new', ['data', 'other']))).toEqual({ accepted: false })
  const mixed = clusterDivergences([changed('new'), changed('newest')], accepted)
  expect(mixed.map(each => [each.accepted, each.divergences.length])).toEqual([[true, 1], [false, 1]]) // biome-ignore format: short
})

test('a thrown error is accepted by its text, including numbers', async () => {
  const accepted = AcceptedDivergences.read((await updated([thrownDivergence(found, 'no row 1', undefined)])).file)
  expect(accepted.accepts(thrownDivergence(found, 'no row 1', undefined))).toBe(true)
  expect(accepted.accepts(thrownDivergence(found, 'no row 2', undefined))).toBe(false)
})

test('a rule accepts what it matches, and an update keeps a rule that is sufficient', async () => {
  const [signature, path] = [changed('').signature, 'data.lines.*.text']
  const entry = { signature, what: 'versions', until: '2026-12-24', values: { [path]: [{ matches: '^v\\d+$' }] } }
  const accepted = new AcceptedDivergences([entry], now)
  expect(accepted.accepts(changed('v12'))).toBe(true)
  expect(accepted.accepts(changed('x12'))).toBe(false)
  expect(accepted.accepts(changed(12))).toBe(false)
  expect(JSON.parse((await updated([changed('v13')], accepted)).text)).toEqual({ accepted: [entry] })
  expect((await updated([changed('x12')], accepted)).text).toContain('"is": "x12"')
  const any = new AcceptedDivergences([{ ...entry, values: { [path]: [{ any: true }] } }], now)
  expect(any.accepts(changed(undefined))).toBe(true)
})

test('an entry is valid through its last day, and an update gives it ninety days', async () => {
  const { text } = await updated([changed('new')])
  expect(text).toContain('"until": "2027-02-27"')
  const { accepted } = JSON.parse(text) as { accepted: ConstructorParameters<typeof AcceptedDivergences>[0] }
  const on = (day: string) => new AcceptedDivergences(accepted, Date.parse(day)).check(changed('new'))
  expect(on('2027-02-27T23:59:59Z')).toEqual({ accepted: true })
  expect(on('2027-02-28T00:00:00Z')).toEqual({ accepted: false, note: 'was accepted until 2027-02-27' })
})

test('an incomplete file is rejected', async () => {
  const { file } = await updated([])
  const refused = async (entry: object, text: string) => {
    await writeFile(file, JSON.stringify({ accepted: [entry] }))
    expect(() => AcceptedDivergences.read(file)).toThrow(text)
  }
  await refused({ signature: 'a', what: 'of an earlier version' }, '"until"')
  await refused({ signature: 'a', until: '2026-13-01', values: {} }, '"until"')
  await refused({ signature: 'a', until: '2027-01-01' }, '"values"')
  await refused(
    { signature: 'a', until: '2027-01-01', values: { x: [{ is: 1, any: true }] } },
    'expected a list of rules',
  )
  await refused(
    { signature: 'a', until: '2027-01-01', values: { x: [{ matches: '(' }] } },
    'Invalid regular expression',
  )
})
