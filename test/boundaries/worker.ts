import { flushCompileCache } from 'node:module'
import { Bus } from '../../src/bus/bus.ts'
import { Boundaries, crashing, crashingSockets, type Split } from './crashing.ts'
import { openLog } from './log.ts'
import { host, type StoryName } from './host.ts'

/* The worker that dies: `node worker.ts ROLE`, the role as JSON. */

export interface Role {
  story: StoryName
  /** Where its effects are written down. */
  home: string
  /** The log, as `openLog` takes it. */
  log: string
  /** Ends at this boundary, counted from 1. */
  fatal: number
  /** Where boundaries lie. */
  at: 'driver' | 'socket'
  cold: boolean
  split?: Split
  dropDedup?: boolean
}

// It does not outlive a sweep that is killed itself.
process.on('disconnect', () => process.exit())
// Written at the end of a process, which this one will not live to see.
flushCompileCache()
const role = JSON.parse(process.argv[2]!) as Role
const boundaries = new Boundaries(role.fatal)
const driver = await openLog(role.log)
if (role.at === 'socket') crashingSockets(boundaries)
const bus = new Bus(role.at === 'driver' ? crashing(driver, boundaries, role.split) : driver)
await host({ ...role, bus })
