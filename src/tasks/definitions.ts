import type { Bus } from '../bus/bus.ts'
import { recordEventStarted } from './hosts.ts'
import type { InstanceSubscription, ProgramDefinition } from './program.ts'

/*
 * Workflow definitions stored with the log. An instance keeps the definition that it started with, so a worker also subscribes to events
 * that only older definitions wait for. The document `workflow/NAME` lists these events by definition.
 */

type KnownDefinitions = Readonly<Record<string, InstanceSubscription>>

const keyedWorkflowsKey = 'workflows'

export async function publishWorkflows(bus: Bus, programs: readonly ProgramDefinition[]): Promise<void> {
  for (const { name, hash, document, instances } of programs) {
    if (!document) continue
    await bus.documents.create(document.key, JSON.parse(document.text))
    if (!instances) continue
    const { types, key } = instances
    await bus.documents.update<KnownDefinitions>(
      listKey(name),
      (known = {}) => (known[hash] ? known : { ...known, [hash]: { types, ...(key && { key }) } }),
      { namesOnly: true },
    )
    if (key)
      await bus.documents.update<readonly string[]>(
        keyedWorkflowsKey,
        (names = []) => (names.includes(name) ? names : [...names, name]),
        { namesOnly: true },
      )
  }
  await recordEventStarted(bus, programs)
}

/** The path of the key in each event type, for every keyed workflow that was ever on this log. */
export async function keyPaths(bus: Bus): Promise<KeyPath[]> {
  const names = await bus.documents.read<readonly string[]>(keyedWorkflowsKey)
  const known = (names ?? []).map(async workflow =>
    Object.values((await bus.documents.read<KnownDefinitions>(listKey(workflow))) ?? {}).flatMap(({ key = {} }) =>
      Object.entries(key).map(([type, path]) => ({ workflow, type, path })),
    ),
  )
  return (await Promise.all(known)).flat()
}

export interface KeyPath {
  readonly workflow: string
  readonly type: string
  readonly path: readonly string[]
}

/** Adds the event types that only instances of older definitions wait for. */
export async function withOlderTypes(bus: Bus, programs: readonly ProgramDefinition[]): Promise<ProgramDefinition[]> {
  return Array.fromAsync(programs, async program => {
    const { name, instances } = program
    if (!instances) return program
    const known = (await bus.documents.read<KnownDefinitions>(listKey(name))) ?? {}
    // Definitions with a key and without one have different instances.
    const alike = Object.values(known).filter(each => !each.key === !instances.key)
    const older = [...new Set(alike.flatMap(each => each.types))].filter(type => !instances.types.includes(type))
    const key = instances.key && Object.assign({}, ...alike.map(each => each.key), instances.key)
    return { ...program, instances: { ...instances, ...(key && { key }), ...(older.length > 0 && { older }) } }
  })
}

const listKey = (name: string) => `workflow/${name}`
