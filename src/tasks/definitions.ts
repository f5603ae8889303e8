import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import type { Instances, ProgramDefinition } from './program.ts'

/*
 * The definitions of workflows in the log. Instances go on with the one that they began with, so a worker listens also to what only
 * older ones wait for, whether the app still has them or not. The document `workflow/NAME` says of each what it waits for.
 */

type Known = Readonly<Record<string, Instances>>

const most = 100

/** Puts the definitions of these programs into the log. */
export async function publishWorkflows(bus: Bus, programs: readonly ProgramDefinition[]): Promise<void> {
  for (const { name, hash, document, instances } of programs) {
    if (!document) continue
    await bus.driver.putDocument(document.key, document.text, 0)
    if (instances) await list(bus, name, hash, instances)
  }
}

async function list(bus: Bus, name: string, hash: string, { types, key }: Instances): Promise<void> {
  for (let i = 0; i < most; i++) {
    const found = await bus.driver.getDocument(listKey(name))
    const known: Known = found ? JSON.parse(found.value) : {}
    if (known[hash]) return
    const next = JSON.stringify({ ...known, [hash]: { types, ...(key && { key }) } })
    if ((await bus.driver.putDocument(listKey(name), next, found?.revision ?? 0)) > 0) return
  }
  throw new TidingsError('E_LOG_UNAVAILABLE', `the definitions of ${name} change all the time`, { retryable: true })
}

/** The programs, listening also to what instances of other definitions wait for. */
export async function hearing(bus: Bus, programs: readonly ProgramDefinition[]): Promise<ProgramDefinition[]> {
  return Promise.all(programs.map(async program => ({ ...program, ...(await olderOf(bus, program)) })))
}

async function olderOf(bus: Bus, { name, instances }: ProgramDefinition): Promise<{ instances?: Instances }> {
  if (!instances) return {}
  const found = await bus.driver.getDocument(listKey(name))
  // One for each correlation and one for each key do not live in the same place.
  const alike = Object.values(found ? (JSON.parse(found.value) as Known) : {}).filter(
    each => !each.key === !instances.key,
  )
  const older = [...new Set(alike.flatMap(each => each.types))].filter(type => !instances.types.includes(type))
  const key = instances.key && Object.assign({}, ...alike.map(each => each.key), instances.key)
  return { instances: { ...instances, ...(key && { key }), ...(older.length > 0 && { older }) } }
}

const listKey = (name: string) => `workflow/${name}`
