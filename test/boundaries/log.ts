import type { Driver } from '../../src/bus/driver.ts'

/** `log`: the address of a log on a NATS server, or the folder of an embedded one. */
export async function openLog(log: string): Promise<Driver> {
  if (log.startsWith('nats://')) {
    const { openNats } = await import('../../src/drivers/nats/index.ts')
    return openNats({ url: log, leaseMs: 1_000 })
  }
  const { openSqlite } = await import('../../src/drivers/sqlite/index.ts')
  return openSqlite({ home: log, shards: 2, leaseMs: 900 })
}
