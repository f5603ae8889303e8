import type { Driver } from '../../src/bus/driver.ts'
import { openKafka } from '../../src/drivers/kafka/index.ts'
import { openFaultyNats } from '../../src/testing/nats/open-faulty.ts'
import { openFaultySqlite } from '../../src/testing/sqlite/open-faulty.ts'

/** The guarantee that is switched off, so that the verdict must not be clean. */
export type Control = 'none' | 'fence' | 'dedup' | 'transaction'

const leaseMs = 2_000

/** `log`: the address of a log on a broker, or the folder of an embedded one. On Kafka there is no way around the fence and the transaction. */
export function openLog(log: string, control: Control = 'none'): Promise<Driver> {
  const dropFence = control === 'fence'
  const dropTransaction = control === 'transaction'
  if (log.startsWith('kafka://')) return openKafka({ url: `${log}&lease=${leaseMs}` })
  if (log.startsWith('nats://'))
    return openFaultyNats({ url: log, leaseMs }, { dropFence, ...(dropTransaction && { dropRepair: true, gapMs: 20 }) })
  return openFaultySqlite({ home: log, leaseMs }, { dropFence, dropTransaction })
}
