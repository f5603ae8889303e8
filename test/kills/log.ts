import type { Driver } from '../../src/bus/driver.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'

/** What is switched off, to see that the verdict then is not clean. */
export type Control = 'none' | 'fence' | 'dedup' | 'transaction'

const leaseMs = 2_000

/** Opens the log that is meant: the address of one on a NATS server, or the folder of an embedded one. */
export function openLog(log: string, control: Control = 'none'): Promise<Driver> {
  const dropFence = control === 'fence'
  const inPieces = control === 'transaction'
  if (log.startsWith('nats://'))
    return openNats({ url: log, leaseMs, faults: { dropFence, ...(inPieces && { dropRepair: true, gapMs: 20 }) } })
  return openSqlite({ home: log, leaseMs, faults: { dropFence, dropTransaction: inPieces } })
}
