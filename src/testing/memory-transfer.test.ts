import { driverConformance } from './conformance/index.ts'
import { SystemClock } from './memory/clock.ts'
import { MemoryLog } from './memory/log.ts'
import { CopyableMemoryDriver } from './memory-transfer.ts'

driverConformance('copyable memory', {
  parts: ['LogTransfer'],
  async fresh() {
    let log: MemoryLog | undefined
    return {
      async open({ now }) {
        log ??= new MemoryLog({ partitions: 3, clock: new SystemClock(now) })
        return new CopyableMemoryDriver(log)
      },
      remove: async () => {},
    }
  },
})
