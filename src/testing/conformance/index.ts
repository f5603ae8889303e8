import { describe, expect, it } from 'vitest'
import { attention } from './attention.ts'
import { clock } from './clock.ts'
import { commit } from './commit.ts'
import { janitor } from './janitor.ts'
import { lifecycle } from './lifecycle.ts'
import { outcomes } from './outcomes.ts'
import { publish } from './publish.ts'
import { race } from './race.ts'
import { read } from './read.ts'
import { sharded } from './sharded.ts'
import { shared } from './shared.ts'
import { storage } from './storage.ts'
import { wake } from './wake.ts'
import { World, type Cases, type Log } from './world.ts'

export type { Log } from './world.ts'

export interface Conformance {
  fresh(): Promise<Log>
  /** Cases that are known to fail, by their sentence, each with the reason. One that passes fails as a stale gap. */
  gaps?: Readonly<Record<string, string>>
}

const themes: Record<string, Cases> = {
  publish,
  read,
  'shared groups': shared,
  outcomes,
  'sharded groups': sharded,
  commit,
  'racing commits': race,
  wake,
  'wake-ups and the clock': clock,
  attention,
  'documents, blobs, signals': storage,
  janitor,
  lifecycle,
}

/** These measure memory, or keep the machine busy. */
const alone = new Set(['read', 'shared groups'])

const patience = 120_000

/**
 * Everything that the contract in `bus/driver.ts` asks of a driver, as test cases of vitest.
 *
 *     driverConformance('sqlite', {
 *       async fresh() {
 *         const home = await mkdtemp(join(tmpdir(), 'tidings-'))
 *         return { open: clock => openSqlite({ home, clock }), remove: () => rm(home, { recursive: true }) }
 *       },
 *     })
 */
export function driverConformance(name: string, { fresh, gaps = {} }: Conformance): void {
  const sentences = Object.values(themes).flatMap(cases => Object.keys(cases))

  describe(`${name} driver`, () => {
    it('has gaps only in cases that exist', () => {
      expect(Object.keys(gaps).filter(gap => !sentences.includes(gap))).toEqual([])
    })

    for (const [theme, cases] of Object.entries(themes))
      describe(theme, { concurrent: !alone.has(theme) }, () => {
        for (const [sentence, run] of Object.entries(cases)) {
          const reason = gaps[sentence]
          const title = reason === undefined ? sentence : `${sentence} (known gap: ${reason})`
          it(title, { timeout: patience }, async ({ skip }) => {
            const conducted = conduct(run, fresh, skip)
            if (reason === undefined) return conducted
            if (await passes(conducted)) throw new Error(`Stale gap: "${sentence}" passes. Take it off the list.`)
            console.info(`${name}: known gap: ${sentence}: ${reason}`)
            skip(reason)
          })
        }
      })
  })
}

async function conduct(run: Cases[string], fresh: Conformance['fresh'], skip: (note: string) => never): Promise<void> {
  const world = new World(await fresh(), skip)
  try {
    await run(world)
  } catch (error) {
    // What went wrong first is the news; a failure of the cleaning up after it is not.
    await world.end().catch(() => {})
    throw error
  }
  await world.end()
}

/** A gap may also show as a case that never ends: that must not look like a failure of the test itself. */
async function passes(conducted: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(resolve, patience * 0.8, false)
  const outcome = await Promise.race([
    conducted.then(
      () => true,
      () => false,
    ),
    late,
  ])
  clearTimeout(timer)
  return outcome
}
