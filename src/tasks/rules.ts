import { TidingsError, errorData } from '../errors.ts'
import { inheritedAttributes, type CloudEvent, type Draft } from '../event.ts'
import { matchesType, type Filter } from '../pattern.ts'
import { backoff } from '../bus/delivery.ts'
import type { Delivery, DeliveryOutcome } from '../bus/driver.ts'
import { correlationOf, isTaskId, mintedAt, parseId, resultId } from '../bus/ids.ts'
import { reason, reasonOf } from '../bus/reason.ts'
import { forkType, isFork, retryType } from './fork.ts'
import type { TaskInput } from './inbox.ts'
import { routedType, type RoutedData } from '../bus/routed.ts'
import { subscribedTypes, migrateType } from './instances.ts'
import { sourceOf, type ProgramDefinition } from './program.ts'
import type { Task } from './task.ts'
import type { OpenCall, TurnBuilder } from './turn.ts'

/*
 * What the engine decides by: which events it asks for, what an input means to a task, what becomes of what it cannot
 * take.
 */

// With the backoff in between, about forty minutes: longer than two versions of an app overlap.
const maxRedeliveries = 50
// About a minute: longer than a server that was restarted, or has just become leader, takes to know what was stored.
const maxJournalReads = 8
const sameBatchMs = 10
const requests = ['agent.invoke', forkType, retryType, 'agent.cancel']
const workflowRequests = [routedType, migrateType]
export const answerTypes: readonly string[] = [
  'tool.result', 'tool.failed', 'model.result', 'model.failed', 'agent.task.completed', 'agent.task.failed',
  'agent.task.cancelled', 'approval.granted', 'approval.denied',
] // biome-ignore format: one list

/** Another worker of this app takes such events, of a newer version perhaps: it must have the chance. */
export function unhandled({ event, attempt }: Delivery): DeliveryOutcome {
  const to = event.target === undefined ? '' : ` for "${event.target}"`
  const why = reason('E_PROGRAM_UNKNOWN', `no agent of this worker handles ${event.type}${to}`)
  return attempt < maxRedeliveries
    ? { kind: 'retry', after: backoff(attempt), reason: why }
    : { kind: 'park', reason: why }
}

/** A start that was never handed out before has no journal; were it otherwise, the fence would say so. */
export const isFirstStart = ({ program, joins, shared }: TaskInput) =>
  program !== undefined && !joins && shared.delivery.attempt === 1

/** Whether it is the event that its correlation was minted with, or one of the same batch, and nobody was handed it before. */
export const isFirstOfCorrelation = ({ event, shared: { delivery } }: TaskInput) =>
  delivery.attempt === 1 &&
  event.hops === 0 &&
  Math.abs((mintedAt(event.correlationid) ?? 0) - Date.parse(event.time)) <= sameBatchMs

export function filterOf(programs: readonly ProgramDefinition[]): Filter {
  const on = [
    ...new Set(
      programs.flatMap(program => [...program.on, ...(program.instances ? subscribedTypes(program.instances) : [])]),
    ),
  ]
  const more = programs.some(program => program.instances) ? workflowRequests : []
  const addressed = { types: [...requests, ...answerTypes, ...more], targets: programs.map(program => program.name) }
  return on.length > 0 ? [addressed, { types: on }] : [addressed]
}

export function startsOn(program: ProgramDefinition, event: CloudEvent): boolean {
  if (isFork(event.type)) return event.target === program.name
  if (event.type === 'agent.invoke' && event.target === program.name) return true
  // What becomes of an agent's tasks does not start the same agent: it would never end.
  if (event.type.startsWith('agent.') && event.source === sourceOf(program)) return false
  return program.on.some(pattern => matchesType(pattern, event.type))
}

/**
 * What an input means to the task. Structure decides, never a window of time. `refuse`: the task was cancelled before this
 * start came. `follow`: it goes on as another task.
 */
export function classifyInput(task: Task | undefined, input: TaskInput): InputClass {
  const { event, program, joins } = input
  if (joins) {
    if (task?.end) return task.machine.hasSeen?.(event) ? 'inert' : 'late'
    return task || program !== undefined ? 'take' : 'inert'
  }
  if (program !== undefined) return task ? (task.isTombstone ? 'refuse' : 'inert') : 'take'
  if (event.type === 'agent.cancel' && !task) return isOwnTask(event) ? 'take' : 'inert'
  if (event.type === 'agent.cancel' && task?.end === 'continued') return 'follow'
  if (!task) return mayAppearLater(input) ? 'ahead' : 'inert'
  if (task.end) return 'inert'
  if (event.type === 'agent.cancel' || event.type === migrateType) return 'take'
  if (task.open.has(event.call!)) return 'take'
  return parseId(event.call!)!.version > task.head ? 'ahead' : 'inert'
}

/**
 * Whether an input to a task that has no journal may find one later: the turn that asked for an answer was stored before it. In
 * the end the journal was purged.
 */
export const mayAppearLater = ({ shared }: TaskInput) => shared.delivery.attempt <= maxJournalReads

export const retryLater = ({ shared }: TaskInput): DeliveryOutcome => ({
  kind: 'retry',
  after: backoff(shared.delivery.attempt),
  reason: reason('E_JOURNAL_BEHIND', 'the turn that made the call is not on the log yet'),
})

export type InputClass = 'take' | 'inert' | 'ahead' | 'late' | 'refuse' | 'follow'

/** Whether the task that is to be cancelled can exist: what is accepted for it lies in the shard of its correlation. */
const isOwnTask = ({ subject = '', correlationid }: CloudEvent) =>
  isTaskId(subject) && correlationOf(subject) === correlationid

const second = 1_000
const hour = 3_600_000

/**
 * When to wake the task after this turn: as its first wait ends, null when none has a bound. Where that is more than an hour away, at
 * the next whole second: calls that follow each other quickly then leave the wake-up as it is, and no index is written for each.
 */
export function wakeFor(stillOpen: readonly OpenCall[], builder: TurnBuilder): number | null {
  if (builder.end) return null
  let next: number | null = null
  const consider = (until: number | null) => {
    if (until !== null && (next === null || until < next)) next = until
  }
  for (const { until } of stillOpen) consider(until)
  for (const { wait } of builder.emits) if (wait) consider(wait.until)
  return next !== null && next - builder.now > hour ? Math.ceil(next / second) * second : next
}

/** What tells of an event, which has its data, that came when its instance had ended. */
export function lateDraft(task: string, delivered: CloudEvent): Draft {
  const { id, type } = delivered.type === routedType ? (delivered.data as RoutedData).event : delivered
  const { tenant, correlationid, hops, replay } = delivered
  return {
    // Of several workflows, it may be late for each.
    id: `${id}:${task.slice(-10)}:late`,
    type: 'workflow.late',
    source: '/workflows',
    tenant,
    subject: id,
    correlationid,
    causationid: delivered.id,
    hops,
    ...(replay !== undefined && { replay }),
    data: { event: id, type, task, at: null },
  }
}

/** The answer to a start whose task was cancelled before it came; undefined where nobody waits for one. */
export function cancelledDraft(program: ProgramDefinition, { event: start }: TaskInput): Draft | undefined {
  if (start.replyto === undefined) return undefined
  return {
    id: resultId(start.id),
    type: 'agent.task.cancelled',
    source: sourceOf(program),
    ...inheritedAttributes(start),
    causationid: start.id,
    target: start.replyto,
    call: start.call ?? start.id,
    hops: start.hops + 1,
    data: { program: program.name, reason: 'it was cancelled before it began' },
  }
}

/** Somebody else than the runtime made this `workflow.event`, and no instance can take it. */
export function discardMisrouted({ id }: CloudEvent): DeliveryOutcome {
  const { code, message } = new TidingsError(
    'E_EVENT_INVALID',
    `the data of ${id}, a workflow.event, is not { event } with \`event.id\` and \`event.type\`, which is also its subject`,
  )
  const next =
    'Publish what happened under its own type: the runtime routes it to its instance. `tidings attention discard` drops this one.'
  return { kind: 'discard', reason: { code, message, next } }
}

export const isAnsweredBy = (inputs: readonly TaskInput[], { event }: TaskInput) =>
  event.call !== undefined && inputs.some(taken => taken.event.call === event.call)

export function outcomeForError(error: unknown, task: string, { shared }: TaskInput): DeliveryOutcome {
  const why = reasonOf(errorData(error, 'E_PROGRAM_FAILED'))
  // A log that is away comes back; a newer worker may not come.
  const isLogAway = /^E_(LOG|BUS)_/.test(why.code)
  if (error instanceof TidingsError && error.retryable && (isLogAway || shared.delivery.attempt < maxRedeliveries))
    return { kind: 'retry', after: backoff(shared.delivery.attempt), reason: why }
  return { kind: 'park', reason: why, key: `task/${task}` }
}
