import { flushCompileCache } from 'node:module'
import { Bus } from '../../src/bus/bus.ts'
import { Boundaries, crashing, crashingSockets, type Split } from './crashing.ts'
import { openLog } from './log.ts'
import { host, type StoryName } from './host.ts'

/* The worker that is killed: `node worker.ts ROLE`, with the role as JSON. */

export interface Role {
  story: StoryName
  /** The folder in which its tools record their effects. */
  home: string
  /** The log, for `openLog`. */
  log: string
  /** The boundary at which it is killed, from 1. */
  fatal: number
  /** Where the boundaries are. */
  at: 'driver' | 'socket'
  cold: boolean
  split?: Split
  dropDedup?: boolean
}

// Ends when the sweep itself is killed.
process.on('disconnect', () => process.exit())
// Node writes the cache when a process exits, which this one does not.
flushCompileCache()
const role = JSON.parse(process.argv[2]!) as Role
const boundaries = new Boundaries(role.fatal)
const driver = await openLog(role.log)
if (role.at === 'socket') crashingSockets(boundaries)
const bus = new Bus(role.at === 'driver' ? crashing(driver, boundaries, role.split) : driver)
await host({ ...role, bus })
