import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import type { InstanceSubscription, ProgramDefinition } from './program.ts'

/*
 * The definitions of workflows in the log. Instances go on with the one that they began with, so a worker listens also to what only
 * older ones wait for, whether the app still has them or not. The document `workflow/NAME` says of each what it waits for.
 */

type KnownDefinitions = Readonly<Record<string, InstanceSubscription>>

const maxAttempts = 100

/** The names of workflows with a key: by it the definitions of all of them are found. */
const keyedWorkflowsKey = 'workflows'

/** Puts the definitions of these programs into the log. */
export async function publishWorkflows(bus: Bus, programs: readonly ProgramDefinition[]): Promise<void> {
  for (const { name, hash, document, instances } of programs) {
    if (!document) continue
    await bus.driver.putDocument(document.key, document.text, 0)
    if (!instances) continue
    const { types, key } = instances
    await updateDocument<KnownDefinitions>(bus, listKey(name), {}, known =>
      known[hash] ? known : { ...known, [hash]: { types, ...(key && { key }) } },
    )
    if (key)
      await updateDocument<readonly string[]>(bus, keyedWorkflowsKey, [], names =>
        names.includes(name) ? names : [...names, name],
      )
  }
}

/** Where the key lies in an event, for each workflow with a key that was ever on this log. */
export async function keyPaths(bus: Bus): Promise<KeyPath[]> {
  const names = await readDocument<readonly string[]>(bus, keyedWorkflowsKey)
  const known = (names ?? []).map(async workflow =>
    Object.values((await readDocument<KnownDefinitions>(bus, listKey(workflow))) ?? {}).flatMap(({ key = {} }) =>
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

/** Changes a document as it is now; `next` answers with what it was given where nothing is to be changed. */
async function updateDocument<T>(bus: Bus, key: string, empty: T, next: (known: T) => T): Promise<void> {
  for (let i = 0; i < maxAttempts; i++) {
    const found = await bus.driver.getDocument(key)
    const known: T = found ? JSON.parse(found.value) : empty
    const changed = next(known)
    if (changed === known) return
    if ((await bus.driver.putDocument(key, JSON.stringify(changed), found?.revision ?? 0)) > 0) return
  }
  throw new TidingsError('E_LOG_UNAVAILABLE', `the document ${key} changes all the time`, { retryable: true })
}

async function readDocument<T>(bus: Bus, key: string): Promise<T | undefined> {
  const found = await bus.driver.getDocument(key)
  return found && (JSON.parse(found.value) as T)
}

/** The programs, listening also to what instances of other definitions wait for. */
export async function withOlderTypes(bus: Bus, programs: readonly ProgramDefinition[]): Promise<ProgramDefinition[]> {
  return Promise.all(programs.map(async program => ({ ...program, ...(await olderOf(bus, program)) })))
}

async function olderOf(
  bus: Bus,
  { name, instances }: ProgramDefinition,
): Promise<{ instances?: InstanceSubscription }> {
  if (!instances) return {}
  const known = (await readDocument<KnownDefinitions>(bus, listKey(name))) ?? {}
  // One for each correlation and one for each key do not live in the same place.
  const alike = Object.values(known).filter(each => !each.key === !instances.key)
  const older = [...new Set(alike.flatMap(each => each.types))].filter(type => !instances.types.includes(type))
  const key = instances.key && Object.assign({}, ...alike.map(each => each.key), instances.key)
  return { instances: { ...instances, ...(key && { key }), ...(older.length > 0 && { older }) } }
}

const listKey = (name: string) => `workflow/${name}`
