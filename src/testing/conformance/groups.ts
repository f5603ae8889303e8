import type { Driver } from '../../bus/driver.ts'
import { until } from '../wait.ts'

/** Moving shards takes as long as members need to notice each other. */
export const slow = { within: 30_000 }

/** The state of a group; undefined if there is none. */
export const lookUpGroup = async (driver: Driver, group = 'jobs') =>
  (await driver.listGroups()).find(each => each.group === group)

/** Waits until a group has settled everything. */
export const settled = (driver: Driver, group = 'jobs', within = slow.within) =>
  until(async () => (await lookUpGroup(driver, group))?.lag === 0, { within, what: `lag 0 of group ${group}` })
