import { registerDriver } from '../../src/driver.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'

/** `TIDINGS_BUS=memory:NAME`: the members of one process that name the same log share it. */
export function registerMemoryDriver(): void {
  const logs = new Map<string, MemoryLog>()
  registerDriver('memory', ({ bus }) => {
    const log = logs.get(bus) ?? new MemoryLog()
    logs.set(bus, log)
    return new MemoryDriver(log)
  })
}
