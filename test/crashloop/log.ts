import type { Bus } from '../../src/bus/bus.ts'
import { openBus } from '../../src/runtime/environment.ts'

/** Opens a log as an app does: the address of one on a server, or the folder of an embedded one. */
export const openLog = (log: string): Promise<Bus> =>
  openBus({ bus: log.startsWith('nats://') ? log : 'sqlite', home: log })
