import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'

/* Malformed inputs over real sockets, which leave a log as empty as it was. TIDINGS_FUZZ says how many inputs. */

const runs = Number(process.env.TIDINGS_FUZZ ?? 400)
const patienceMs = 10_000

interface Door {
  /** As in `http://127.0.0.1:8080`. */
  readonly address: string
  stop(): Promise<void>
}

/** Of a test with any share of the inputs. */
export const timeout = 30_000 + runs * 50

/** Opens a door on a log of its own, for all tests of a file. */
export function fuzzed(open: (bus: Bus) => Promise<Door>) {
  let home: string
  let bus: Bus
  let door: Door
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'tidings-fuzz-'))
    bus = new Bus(await openSqlite({ home }))
    door = await open(bus)
  })
  afterAll(async () => {
    await door.stop()
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  return {
    address: () => door.address,
    /** A connection that breaks where nothing comes for long. */
    dial(): Socket {
      const socket = connect(Number(new URL(door.address).port), '127.0.0.1')
      return socket.setTimeout(patienceMs, () => socket.destroy(new Error(`no answer within ${patienceMs} ms`)))
    },
    /** Checks a share of the inputs, eight at a time, as clients come; after that the log is empty. */
    async each<T>(inputs: fc.Arbitrary<T>, share: number, check: (input: T) => Promise<void>): Promise<void> {
      const several = fc.array(inputs, { minLength: 8, maxLength: 8 })
      const numRuns = Math.max(1, Math.round((runs * share) / 8))
      await fc.assert(
        fc.asyncProperty(several, async list => void (await Promise.all(list.map(check)))),
        { numRuns },
      )
      expect(await bus.driver.head()).toBe('0')
    },
  }
}
