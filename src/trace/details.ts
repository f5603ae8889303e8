import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { correlationOf } from '../bus/ids.ts'
import { notOnLog } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { TaskEnd, Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { eventsAt, withData } from './index/events.ts'
import type { TurnPlaces } from './index/rows.ts'
import { turnIn } from './tree.ts'

/* Events and tasks with all their data, including data in blobs. */

export interface EventDetails {
  readonly kind: 'event'
  readonly position: Position
  readonly event: CloudEvent
}

/** A turn with the data of its inputs and the events that it emitted. */
export interface TurnDetails extends Turn {
  readonly id: string
  readonly position: Position
  readonly emitted: readonly CloudEvent[]
}

export interface TaskDetails {
  readonly kind: 'task'
  readonly task: string
  readonly correlation: string
  readonly tenant: string
  readonly replay?: string
  readonly program: string
  readonly programVersion: number
  readonly programHash: string
  readonly state: TaskEnd | 'running' | 'waiting'
  /** Calls without an answer. */
  readonly waitsFor: readonly { readonly id: string; readonly target: string; readonly until: number | null }[]
  /** Types of the events that a workflow instance waits for. */
  readonly awaits?: readonly string[]
  /** Exactly one of them, if the task has completed, failed or was cancelled. */
  readonly output?: unknown
  readonly error?: unknown
  readonly reason?: unknown
  /** Other fields of its turns, such as `successor`. */
  readonly more: Readonly<Record<string, unknown>>
  readonly turns: readonly TurnDetails[]
}

/** @throws E_NOT_FOUND */
export async function readEventDetails(
  bus: Bus,
  position: Position,
): Promise<EventDetails | (TurnDetails & { kind: 'turn' })> {
  const [stored] = await eventsAt(bus, [position])
  if (!stored) throw notOnLog('the event is no longer on the log')
  const event = await bus.resolveIfStored(stored.event)
  const turn = turnIn(event)
  return turn
    ? { kind: 'turn', ...(await readTurnDetails(bus, position, event.id, turn)) }
    : { kind: 'event', position, event }
}

/** @throws E_NOT_FOUND */
export async function readTaskDetails(bus: Bus, task: string): Promise<TaskDetails> {
  const recorded = new Map<number, { position: Position; event: CloudEvent; turn: Turn }>()
  const events = new Map<string, CloudEvent>()
  for await (const { position, event } of bus.read({ task })) {
    const turn = turnIn(event.type === turnType ? await bus.resolveIfStored(event) : event)
    if (turn) recorded.set(turn.version, { position, event, turn })
    else events.set(event.id, event)
  }
  const turns: TurnDetails[] = []
  for (const { position, event, turn } of [...recorded.values()].sort((a, b) => a.turn.version - b.turn.version))
    turns.push(await readTurnDetails(bus, position, event.id, turn, events))
  const newest = turns.at(-1)
  if (!newest) throw notOnLog(`no turn of task ${task} is on the log`)
  const { tenant, replay } = recorded.get(newest.version)!.event
  const { program, programVersion, programHash, end } = newest
  const waitsFor = openCalls(turns)
  return {
    kind: 'task',
    task,
    correlation: correlationOf(task),
    tenant,
    ...(replay !== undefined && { replay }),
    program,
    programVersion,
    programHash,
    state: end ?? (waitsFor.length > 0 ? 'waiting' : 'running'),
    waitsFor: end ? [] : waitsFor,
    ...outcomeIn(newest),
    more: Object.assign({}, ...turns.map(otherFields)) as Record<string, unknown>,
    turns,
  }
}

/** Turns with their data, oldest first. Those that are no longer on the log are left out. */
export async function readTurns(bus: Bus, { turns, emitted }: TurnPlaces): Promise<TurnDetails[]> {
  const events = new Map((await eventsAt(bus, emitted)).map(({ event }) => [event.id, event]))
  const details: TurnDetails[] = []
  for (const { position, event } of await withData(bus, await eventsAt(bus, turns))) {
    const turn = turnIn(event)
    if (turn) details.push(await readTurnDetails(bus, position, event.id, turn, events))
  }
  return details
}

async function readTurnDetails(
  bus: Bus,
  position: Position,
  id: string,
  turn: Turn,
  events: ReadonlyMap<string, CloudEvent> = new Map(),
): Promise<TurnDetails> {
  const inputs: CloudEvent[] = []
  for (const input of turn.inputs) inputs.push(await bus.resolveIfStored(input))
  const emitted: CloudEvent[] = []
  for (const emit of turn.emits) {
    const event = events.get(emit.id) ?? (await bus.get(emit.id, correlationOf(emit.id)))
    if (event) emitted.push(await bus.resolveIfStored(event))
  }
  return { id, position, ...turn, inputs, emitted }
}

function openCalls(turns: readonly TurnDetails[]): TaskDetails['waitsFor'] {
  const open = new Map<string, TaskDetails['waitsFor'][number]>()
  for (const { inputs, emits, withdrawn = [] } of turns) {
    for (const { call } of inputs) if (call !== undefined) open.delete(call)
    for (const call of withdrawn) open.delete(call)
    for (const { id, wait } of emits) if (wait) open.set(id, { id, target: wait.target, until: wait.until })
  }
  return [...open.values()]
}

function outcomeIn({ end, emitted }: TurnDetails): Pick<TaskDetails, 'output' | 'error' | 'reason'> {
  const ending = end && emitted.find(({ type }) => type === `agent.task.${end}`)
  const { program: _, ...outcome } = (ending?.data ?? {}) as Record<string, unknown>
  return outcome
}

const turnFields = [
  'id', 'position', 'emitted', 'program', 'programVersion', 'programHash', 'version', 'at', 'inputs', 'emits', 'state',
  'stateHash', 'withdrawn', 'wake', 'end',
] // biome-ignore format: one list

/** Fields of a turn that are not part of its own details. */
const otherFields = (turn: TurnDetails) =>
  Object.fromEntries(Object.entries(turn).filter(([field]) => !turnFields.includes(field)))
