import { Bus } from '../../src/bus/bus.ts'
import { Boundaries, crashing } from '../boundaries/crashing.ts'
import { openLog } from '../boundaries/log.ts'
import { host, type Roles } from './host.ts'

/* Another process: `node worker.ts ROLE`, the role as JSON. */

export interface Role extends Roles {
  readonly log: string
  /** Kills itself at its n-th write to the log, before or after it. */
  readonly fatal?: number
}

// It does not outlive a test that is killed itself.
process.on('disconnect', () => process.exit())
const role = JSON.parse(process.argv[2]!) as Role
const driver = await openLog(role.log)
await host(new Bus(role.fatal === undefined ? driver : crashing(driver, new Boundaries(role.fatal))), role)
process.send?.('ready')
