import type { Bus } from '../bus/bus.ts'
import type { Pausable } from '../bus/pauses.ts'
import { hostsOn } from '../tasks/hosts.ts'

/** The names of everything that was ever hosted on a log, by what it is. Workflows are addressed as agents are. */
export async function hostedOn(bus: Bus): Promise<Record<Pausable, string[]>> {
  const groups = (await bus.driver.groups()).map(({ group }) => group)
  const namesIn = (folder: string) =>
    groups.filter(group => group.startsWith(folder)).map(group => group.slice(folder.length))
  return { agent: Object.keys(await hostsOn(bus)), tool: namesIn('tool/'), model: namesIn('model/') }
}
