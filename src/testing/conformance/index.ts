import { describe, expect, it } from 'vitest'
import { blobStore } from './blob-store.ts'
import { outcomes } from './consumer-groups-outcomes.ts'
import { sharded } from './consumer-groups-sharded.ts'
import { shared } from './consumer-groups-shared.ts'
import { groupState } from './consumer-groups-state.ts'
import { deadLetters } from './dead-letters.ts'
import { documentStore } from './document-store.ts'
import { cursors } from './event-log-cursors.ts'
import { knownIds } from './event-log-ids.ts'
import { publish } from './event-log-publish.ts'
import { read } from './event-log-read.ts'
import { outages, steady } from './log-admin-availability.ts'
import { janitor } from './log-admin-purge.ts'
import { lifecycle } from './log-admin.ts'
import { transfer } from './log-transfer.ts'
import { signalChannel } from './signal-channel.ts'
import { calls } from './task-store-calls.ts'
import { clock } from './task-store-clock.ts'
import { commit } from './task-store-commit.ts'
import { race } from './task-store-race.ts'
import { wake } from './task-store-wake.ts'
import { MissingMember, World, type Cases, type TestLog } from './world.ts'

// Exported as `tidings/testing/conformance`: what authors of drivers test with. Needs the optional peers vitest and fast-check.
export type { BrokerControl, DriverUnderTest, TestLog } from './world.ts'
export { TestClock } from '../clock.ts'
export { findNatsServer, type FindOptions, type NatsServer } from '../nats/find.ts'
export { startNats, type Nats, type NatsOptions } from '../nats/start.ts'
export { startNatsCluster, type NatsCluster } from '../nats/cluster.ts'
export { startProxy, type TcpProxy } from '../tcp-proxy.ts'
export { selfSigned } from '../certificate.ts'
export { CommitFailures } from '../sqlite/commit-failures.ts'
export { openFaultyNats, type NatsFaults } from '../nats/open-faulty.ts'
export { openFaultySqlite, type SqliteFaults } from '../sqlite/open-faulty.ts'

/** The parts of the contract (`Driver` in `tidings/driver`), each with its own cases. */
export type ContractPart = keyof typeof parts

/** How the suite makes logs, and which parts of the contract it tests. */
export interface Conformance {
  /** Creates an empty log that no other case uses. */
  fresh(): Promise<TestLog>
  /** The same with its own broker, for the cases that stop it. Without it these cases do not run. */
  freshBroker?(): Promise<TestLog>
  /**
   * Only these parts, for a driver under development. A case that also needs a method of a part that does not exist yet is skipped
   * and names the method. Default: all parts, and every method must exist.
   */
  parts?: readonly ContractPart[]
  /** The broker has no index of ids, so that a repeated publish stores the event twice. */
  storesDuplicates?: boolean
  /** Cases that are known to fail, by their sentence, each with the reason. If one passes, it is reported as a stale gap. */
  gaps?: Readonly<Record<string, string>>
}

const parts = {
  EventLog: { publish, 'known ids': knownIds, read, cursors },
  TaskStore: { commit, 'racing commits': race, calls, wake, 'wake-ups and the clock': clock },
  ConsumerGroups: { 'shared groups': shared, 'sharded groups': sharded, outcomes, 'group state': groupState },
  DeadLetters: { 'deferred deliveries': deadLetters },
  DocumentStore: { documents: documentStore },
  BlobStore: { blobs: blobStore },
  SignalChannel: { signals: signalChannel },
  LogAdmin: { lifecycle, purge: janitor, availability: steady, outages },
  LogTransfer: { 'moving a log': transfer },
} satisfies Record<string, Record<string, Cases>>

/** Cases that measure memory or load the machine. */
const alone = new Set(['read', 'shared groups', 'outages'])

const caseTimeoutMs = 120_000

/**
 * The rules of the driver contract as vitest cases, part by part.
 * @example
 * import { mkdtemp, rm } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { openSqlite } from 'tidings/drivers/sqlite'
 * import { driverConformance } from 'tidings/testing/conformance'
 *
 * driverConformance('sqlite', {
 *   async fresh() {
 *     const home = await mkdtemp(join(tmpdir(), 'tidings-'))
 *     return { open: clock => openSqlite({ home, clock }), remove: () => rm(home, { recursive: true }) }
 *   },
 * })
 */
export function driverConformance(name: string, options: Conformance): void {
  const { fresh, freshBroker, storesDuplicates = false, gaps = {} } = options
  const chosen = options.parts ?? (Object.keys(parts) as ContractPart[])
  const themes = chosen.flatMap(part =>
    Object.entries<Cases>(parts[part]).map(([theme, cases]) => ({ part, theme, cases })),
  )
  const sentences = themes.flatMap(({ cases }) => Object.keys(cases))

  describe(`${name} driver`, () => {
    it('has gaps only in cases that exist', () => {
      expect(Object.keys(gaps).filter(gap => !sentences.includes(gap))).toEqual([])
    })

    for (const { part, theme, cases } of themes) {
      const make = cases === outages ? freshBroker : fresh
      if (!make || (storesDuplicates && cases === knownIds)) continue
      describe(`${part}: ${theme}`, { concurrent: !alone.has(theme) }, () => {
        for (const [sentence, run] of Object.entries(cases)) {
          const reason = gaps[sentence]
          const title = reason === undefined ? sentence : `${sentence} (known gap: ${reason})`
          it(title, { timeout: caseTimeoutMs }, async ({ skip }) => {
            const conducted = conduct(run, make, { skip, isPartial: options.parts !== undefined })
            if (reason === undefined) return conducted
            if (await passes(conducted)) throw new Error(`Stale gap: "${sentence}" passes. Take it off the list.`)
            console.info(`${name}: known gap: ${sentence}: ${reason}`)
            skip(reason)
          })
        }
      })
    }
  })
}

async function conduct(
  run: Cases[string],
  fresh: Conformance['fresh'],
  { skip, isPartial }: { skip: (note: string) => never; isPartial: boolean },
): Promise<void> {
  const world = new World(await fresh(), skip, isPartial)
  try {
    await Promise.race([run(world), world.missing])
  } catch (error) {
    // Reports the first failure, not a later one of the clean-up.
    await world.end().catch(() => {})
    if (error instanceof MissingMember) skip(error.message)
    throw error
  }
  await world.end()
}

/** A gap may also be a case that never ends, which must not be reported as a failure of the test. */
async function passes(conducted: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(resolve, caseTimeoutMs * 0.8, false)
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
