import type { Driver } from '../../src/bus/driver.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'

/** Opens the log that is meant: the address of one on a NATS server, or the folder of an embedded one. */
export const openLog = (log: string): Promise<Driver> =>
  log.startsWith('nats://')
    ? openNats({ url: log, shards: 1, leaseMs: 1_000 })
    : openSqlite({ home: log, shards: 2, leaseMs: 900 })
