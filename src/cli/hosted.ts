import type { Bus } from '../bus/bus.ts'
import type { GroupState } from '../bus/driver.ts'
import type { Pausable } from '../bus/pauses.ts'
import { groupOf, hostsOn } from '../tasks/hosts.ts'

/** The names of everything that was ever hosted on a log, by what it is. Workflows are addressed as agents are. */
export async function hostedOn(bus: Bus): Promise<Record<Pausable, string[]>> {
  const groups = await bus.driver.groups()
  return { agent: Object.keys(await hostsOn(bus)), tool: namesIn(groups, 'tool'), model: namesIn(groups, 'model') }
}

/** The names of the tools or models whose groups these are. */
export const namesIn = (groups: readonly GroupState[], kind: 'tool' | 'model') =>
  groups.flatMap(({ group }) => (group.startsWith(`${kind}/`) ? group.slice(kind.length + 1) : []))

/** Whether a worker that hosts it is there, as far as the broker knows. */
export async function hasWorker(bus: Bus, kind: Pausable, name: string): Promise<boolean> {
  const group = kind === 'agent' ? groupOf((await hostsOn(bus))[name] ?? '') : `${kind}/${name}`
  return bus.driver.hasMembers(group)
}
