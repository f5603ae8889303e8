import type { Bus } from '../bus/bus.ts'
import { correlationFrom } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { Draft } from '../event.ts'
import type { Criterion, RollbackCriteria } from './criteria.ts'

/*
 * One document for each strangler says which requests go to the candidate. People change it with `tidings strangler set`, a criterion with a
 * rollback, always by compare-and-set on its version; every process follows it. The document holds the last decision, so that its event is
 * published even if the process that decided dies in between:
 *
 *     document: version 8, who, when, why ─▶ event strangler:NAME:8 (by each process that sees the version; the id makes it one)
 */

/** Which requests go to the candidate. */
export interface Control {
  /** Of the keys that it answers, from 0 to 100. */
  readonly percent: number
  /** Of the requests that `old` answers, how many also go to the candidate, without effects: from 0 to 100. */
  readonly mirror: number
  /** Keys that the candidate answers whatever the percentage. */
  readonly always: readonly string[]
  /** Keys that `old` answers whatever the percentage. */
  readonly never: readonly string[]
}

/** Why a rollback happened by itself. */
export interface Violation {
  readonly criterion: Criterion
  /** The declared limit. */
  readonly limit: number
  /** What was measured; absent if there was nothing to measure. */
  readonly measured?: number
  /** How many requests were measured. */
  readonly requests: number
  /** Of parity: the field. */
  readonly field?: string
}

/** A decision, as the document and its event hold it. */
export interface Decision {
  readonly strangler: string
  /** Counts the decisions. */
  readonly version: number
  readonly from: Control
  readonly to: Control
  /** The person, or the process that found a violation. */
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  readonly why?: string
  /** Of a rollback that no person asked for. */
  readonly violation?: Violation
}

/** What the code of the strangler declares, for people and for reports. */
export interface DeclaredStrangler {
  readonly candidate: string
  readonly rollback?: RollbackCriteria
}

/** The document of a strangler. */
export interface StranglerDocument extends DeclaredStrangler {
  readonly version: number
  readonly control: Control
  /** The last one. Absent until there is one. */
  readonly decision?: Decision
}

export const changedType = 'strangler.changed'
export const rolledBackType = 'strangler.rolledback'

/** All requests are answered by `old`, and none is mirrored. */
export const nothing: Control = { percent: 0, mirror: 0, always: [], never: [] }

const namesKey = 'stranglers'
const documentKey = (name: string) => `strangler/${name}`
const maxKeys = 1_000

/** The correlation of the decisions and measurements of a strangler. */
export const stranglerCorrelation = (name: string) => correlationFrom(`strangler\0${name}`)

/** Whether the candidate answers any request. */
export const isCutOver = ({ percent, always }: Control): boolean => percent > 0 || always.length > 0

/** The document of a strangler whose code declares this. @throws E_LOG_UNAVAILABLE */
export async function declareStrangler(
  bus: Bus,
  name: string,
  { candidate, rollback }: DeclaredStrangler,
): Promise<StranglerDocument> {
  const declared = { candidate, ...(rollback && { rollback }) }
  const { value } = await bus.documents.update<StranglerDocument>(
    documentKey(name),
    current => {
      const { version, control, decision } = current ?? { version: 0, control: nothing }
      const next = { ...declared, version, control, ...(decision && { decision }) }
      return JSON.stringify(next) === JSON.stringify(current) ? undefined : next
    },
    { namesOnly: true },
  )
  await bus.documents.update<readonly string[]>(
    namesKey,
    (names = []) => (names.includes(name) ? undefined : [...names, name].toSorted()),
    { namesOnly: true },
  )
  return value!
}

/** All stranglers that ran on this log, by name. @throws E_LOG_UNAVAILABLE */
export async function readStranglers(bus: Bus): Promise<Map<string, StranglerDocument>> {
  const names = (await bus.documents.read<readonly string[]>(namesKey)) ?? []
  const found = await Promise.all(names.map(async name => [name, await readStrangler(bus, name)] as const))
  return new Map(found.flatMap(([name, document]) => (document ? [[name, document]] : [])))
}

export const readStrangler = (bus: Bus, name: string): Promise<StranglerDocument | undefined> =>
  bus.documents.read<StranglerDocument>(documentKey(name))

/** Who decides, and why. */
export interface DecisionOrigin {
  readonly by: string
  readonly why?: string | undefined
  readonly violation?: Violation
}

/**
 * Changes which requests go to the candidate, in every process within about a second, and publishes the decision. `expected`: only if this is
 * still the version. Returns the decision; undefined if nothing changed.
 * @throws E_NOT_FOUND if no process ever declared the strangler, E_SETTING_INVALID, E_LOG_UNAVAILABLE
 */
export async function decide(
  bus: Bus,
  name: string,
  change: Partial<Control>,
  { by, why, violation }: DecisionOrigin,
  expected?: number,
): Promise<Decision | undefined> {
  checkControl(change)
  const { value, isChanged } = await bus.documents.update<StranglerDocument>(
    documentKey(name),
    current => {
      if (!current) throw unknownStrangler(name)
      const { version, control } = current
      const to = { ...control, ...change }
      if ((expected !== undefined && expected !== version) || JSON.stringify(to) === JSON.stringify(control))
        return undefined
      const decision: Decision = {
        strangler: name,
        version: version + 1,
        from: control,
        to,
        by,
        at: new Date(bus.now()).toISOString(),
        ...(why !== undefined && { why }),
        ...(violation && { violation }),
      }
      return { ...current, version: version + 1, control: to, decision }
    },
    { namesOnly: true },
  )
  const decision = value?.decision
  if (!isChanged || !decision) return undefined
  bus.signal({ type: refreshType, subject: name, data: null })
  await bus.publish(decisionEvent(decision))
  return decision
}

/** Sent when a document has changed, so that processes read it at once. */
export const refreshType = 'strangler.refresh'

/** What a rollback sets: nobody is on the candidate. Mirrored requests go on, because they show when the candidate is right again. */
export const rolledBack: Partial<Control> = { percent: 0, always: [] }

/** Publishes the last decision, if the process that took it died before it did. */
export async function ensureAnnounced(bus: Bus, { decision }: StranglerDocument): Promise<void> {
  if (!decision) return
  const draft = decisionEvent(decision)
  if (!(await bus.get(draft.id!, draft.correlationid!))) await bus.publish(draft)
}

function decisionEvent(decision: Decision): Draft<Decision> {
  const { strangler, version, violation, from, to } = decision
  const isRollback = violation !== undefined || (isCutOver(from) && !isCutOver(to))
  return {
    id: `strangler:${strangler}:${version}`,
    type: isRollback ? rolledBackType : changedType,
    source: `/strangler/${strangler}`,
    subject: strangler,
    correlationid: stranglerCorrelation(strangler),
    data: decision,
  }
}

/** @throws E_SETTING_INVALID */
function checkControl({ percent, mirror, always = [], never = [] }: Partial<Control>): void {
  for (const [name, value] of Object.entries({ percent, mirror }))
    if (value !== undefined && !(Number.isFinite(value) && value >= 0 && value <= 100))
      throw new TidingsError('E_SETTING_INVALID', `the ${name} is ${value}: expected a percentage from 0 to 100`)
  for (const keys of [always, never])
    if (keys.length > maxKeys)
      throw new TidingsError('E_SETTING_INVALID', `a list has ${keys.length} keys; the maximum is ${maxKeys}`, {
        next: 'Give groups of users a key, such as their tenant: `key` of strangler() may return several.',
      })
}

export const unknownStrangler = (name: string) =>
  new TidingsError('E_NOT_FOUND', `there is no strangler "${name}" on this log`, {
    next: '`tidings strangler status` lists them. A strangler is known once a process has run it.',
  })
