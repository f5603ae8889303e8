import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import { openBus } from '../src/runtime/environment.ts'
import { strangler } from '../src/runtime/strangler.ts'
import { declareStrangler } from '../src/strangler/control.ts'
import type { ParityReport } from '../src/strangler/parity-report.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { embeddedWorld } from './lib/world.ts'

/* A candidate that repeats old code, and the report of the command on what it answered to mirrored requests. */

const priced = (n: number) => ({
  total: n * 2,
  items: [{ price: n, rank: Math.random() }],
  text: Math.random() < 0.3 ? 'a' : 'b',
  createdAt: performance.now(),
})

async function mirrored(requests: number, candidate: (n: number) => ReturnType<typeof priced>) {
  const world = await embeddedWorld()
  const pricer = agent('pricer', { run: async (ctx, n: number) => ctx.step('price', () => candidate(n)) })
  const running = await world.worker({ use: [pricer] })
  const prices = strangler('prices', {
    old: priced,
    candidate: pricer,
    repeatable: true,
    effects: { 'step/pricer': 'live' },
    maxMirrors: 1_000,
    log: running,
  })
  await prices.open()
  await prices.set({ mirror: 100 }, { by: 'ann', why: 'before the cut-over' })
  await Promise.all(Array.from({ length: requests }, (_, n) => prices.run(n)))
  await until(async () => {
    const compared = await Array.fromAsync(running.bus.read({ filter: [{ types: ['strangler.compared'] }] }))
    return compared.length === requests
  })
  await prices.close()
  return world.place
}

test('unchanged code has parity, although its answers vary', async () => {
  const place = await mirrored(120, priced)
  const { code, stdout } = await tidings(place, ['strangler', 'report', 'prices', '--json'])
  const report = JSON.parse(stdout) as ParityReport
  expect(report).toMatchObject({ verdict: 'parity', pairs: 120, triples: 120, unmatched: { lost: 0 } })
  const varying = report.fields.find(({ path }) => path === 'createdAt')
  expect(varying).toMatchObject({ differed: 120, noise: 120, verdict: 'noise' })
  expect(code).toBe(0)
  const few = await tidings(place, ['strangler', 'report', 'prices', '--expect-at-least', '1000'])
  expect(few.stdout).toContain('too few answers: 120 compared answers')
  expect(few.code).toBe(3)
})

test('the command shows and changes who answers', async () => {
  const { place } = await embeddedWorld()
  const bus = await openBus(place)
  await declareStrangler(bus, 'prices', { candidate: 'pricer' })
  await bus.close()
  const status = await tidings(place, ['strangler', 'status'])
  expect(status.stdout).toContain('prices  0 % on the candidate, 0 % mirrored')
  const set = await tidings(place, ['strangler', 'set', 'prices', '5%', '--always', 'ann,acme', '--why', 'parity'])
  expect(set.stdout).toContain('prices: 5 % on the candidate, 0 % mirrored, always ann, acme')
  const rollback = await tidings(place, ['strangler', 'rollback', 'prices', '--json'])
  expect(JSON.parse(rollback.stdout)).toMatchObject({
    version: 2,
    from: { percent: 5 },
    to: { percent: 0, always: [] },
  })
  expect((await tidings(place, ['strangler', 'set', 'prices', '500%'])).code).toBe(2)
  const unknown = await tidings(place, ['strangler', 'report', 'other'])
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no strangler "other"') })
})

test('a regression in one field is found, with the sample size and examples', async () => {
  const place = await mirrored(120, n => ({ ...priced(n), total: n % 5 === 0 ? n * 2 + 1 : n * 2 }))
  const page = join(place.home, 'report.html')
  const { code, stdout } = await tidings(place, ['strangler', 'report', 'prices', '--html', page])
  expect(stdout).toContain('regression in total: 120 compared answers, 120 of them with old repeated')
  expect(stdout).toContain('✖ total differs in 20.0 % (24 of 120), old from itself in 0.0 % (0 of 120)')
  expect(stdout).toMatch(/0 → 1 {2}tidings trace [0-9a-f-]{36}/)
  expect(code).toBe(1)
  const html = await readFile(page, 'utf8')
  expect(html).toContain('<strong>Regression</strong>')
  expect(html).toMatch(/href="http:\/\/localhost:4110\/console\/traces\/[0-9a-f-]{36}"/)
  expect(html).not.toMatch(/<script|src=/)
})
