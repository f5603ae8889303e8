import { TidingsError } from '../errors.ts'
import { didYouMean } from '../suggest.ts'
import type { Bus } from '../bus/bus.ts'
import type { GroupState } from '../bus/driver.ts'
import type { PausableKind } from '../bus/pauses.ts'
import { declaredApps } from './declared-apps.ts'
import type { ProgramDefinition } from './program.ts'
import { sharedToolGroup, toolGroup } from './tool-groups.ts'

/*
 * Which app hosts which agents and workflows. Events are addressed by these names and task ids are derived from them, so two apps with
 * the same name would receive each other's inputs. The document `agents` maps each name to its app. A worker claims its names before
 * it joins its group, and once more after that, so that one of two apps that start at the same time is refused:
 *
 *     claim ──▶ join the group ──▶ claim again ──▶ runs
 *       └─ another app has the name and a running worker ──▶ E_AGENT_TAKEN
 */

const documentKey = 'agents'
/** Names of the workflows that only events start. */
const eventStartedKey = 'event-started'

/** The app by the name of an agent or workflow. */
type Hosts = Readonly<Record<string, string>>

export const appGroup = (app: string) => `app/${app}`

/** The apps of all agents and workflows that were ever hosted on this log. */
export async function hostsOn(bus: Bus): Promise<Hosts> {
  return (await bus.documents.read<Hosts>(documentKey)) ?? {}
}

/** All names that were ever hosted on a log, by kind. Workflows count as agents. */
export async function hostedNames(bus: Bus): Promise<Record<PausableKind, string[]>> {
  const groups = await bus.listGroups()
  const shared = new Set(groups.map(({ group }) => group).filter(group => group.startsWith('mcp/')))
  const declared = shared.size === 0 ? [] : (await declaredApps(bus)).flatMap(({ tools }) => tools)
  const ofServers = declared.flatMap(({ name }) => (shared.has(sharedToolGroup(name)) ? [name] : []))
  return {
    agent: Object.keys(await hostsOn(bus)),
    tool: [...new Set([...namesOfGroups(groups, 'tool'), ...ofServers])],
    model: namesOfGroups(groups, 'model'),
  }
}

/** The names of the tools or models that have a consumer group. */
export const namesOfGroups = (groups: readonly GroupState[], kind: 'tool' | 'model') =>
  groups.flatMap(({ group }) => (group.startsWith(`${kind}/`) ? group.slice(kind.length + 1) : []))

/**
 * Refuses requests to agents that this log has never hosted, and to workflows that only events start. A log without any worker so far accepts
 * all. @throws E_NOT_FOUND, E_REQUEST_INVALID
 */
export async function assertHosted(
  bus: Bus,
  drafts: readonly { type: string; target?: string | undefined }[],
): Promise<void> {
  const asked = drafts.flatMap(({ type, target }) => (type === 'agent.invoke' && target !== undefined ? [target] : []))
  if (asked.length === 0) return
  const names = Object.keys(await hostsOn(bus))
  const unknown = names.length > 0 && asked.find(name => !names.includes(name))
  if (unknown)
    throw new TidingsError(
      'E_NOT_FOUND',
      `no worker on this log has ever hosted an agent or workflow "${unknown}"${didYouMean(unknown, names) || `; there are: ${names.slice(0, 20).join(', ')}`}`,
    )
  const eventStarted = await bus.documents.read<readonly string[]>(eventStartedKey)
  const workflow = asked.find(name => eventStarted?.includes(name))
  if (workflow !== undefined)
    throw new TidingsError('E_REQUEST_INVALID', `workflow "${workflow}" is started by events and cannot be called`, {
      next: 'Publish one of its events: running.publish(), `tidings publish`, POST /events. Or give the workflow `input` instead of `on` or `key`.',
    })
}

/** Records which of these programs only events start: the newest app that hosts a name decides. */
export async function recordEventStarted(bus: Bus, programs: readonly ProgramDefinition[]): Promise<void> {
  const own = new Map(programs.map(({ name, instances }) => [name, instances !== undefined]))
  const change = (names: readonly string[] = []) => {
    const others = names.filter(name => !own.has(name))
    const next = [...others, ...[...own.keys()].filter(name => own.get(name))].toSorted()
    return next.length === names.length && next.every((name, i) => name === names[i]) ? names : next
  }
  await bus.documents.update<readonly string[]>(eventStartedKey, change, { namesOnly: true })
}

/** Whether a running worker hosts it, as far as the broker knows. Workflows count as agents. */
export async function hasWorker(bus: Bus, kind: PausableKind, name: string): Promise<boolean> {
  if (kind === 'model') return bus.hasMembers(`model/${name}`)
  if (kind === 'tool') return (await bus.hasMembers(toolGroup(name))) || (await bus.hasMembers(sharedToolGroup(name)))
  const app = (await hostsOn(bus))[name]
  return app !== undefined && (await bus.hasMembers(appGroup(app)))
}

/** Claims names for an app, also from an app without running workers. @throws E_AGENT_TAKEN */
export async function claimNames(bus: Bus, app: string, names: readonly string[]): Promise<void> {
  const claim = async (hosts: Hosts = {}): Promise<Hosts> => {
    const others = new Map(names.flatMap(name => (hosts[name] && hosts[name] !== app ? [[hosts[name], name]] : [])))
    for (const [other, name] of others)
      if (await bus.hasMembers(appGroup(other)))
        throw new TidingsError(
          'E_AGENT_TAKEN',
          `app "${app}" cannot host "${name}": app "${other}" hosts an agent or workflow of that name, and one of its workers is running`,
        )
    // A new object even if nothing changes: the write makes every app that read the document before check again.
    return { ...hosts, ...Object.fromEntries(names.map(name => [name, app])) }
  }
  await bus.documents.update<Hosts>(documentKey, claim, { namesOnly: true })
}
