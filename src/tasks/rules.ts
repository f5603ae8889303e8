import { TidingsError, errorData } from '../errors.ts'
import { inheritedAttributes, type CloudEvent, type Draft } from '../event.ts'
import { matchesType, type Filter } from '../pattern.ts'
import { backoff } from '../bus/delivery.ts'
import type { Delivery, DeliveryOutcome } from '../bus/driver.ts'
import { correlationOf, isTaskId, mintedAt, parseId, resultId } from '../bus/ids.ts'
import { reason, reasonOf } from '../bus/reason.ts'
import { messageType } from './asked.ts'
import { forkType, isFork, retryType } from './fork.ts'
import type { TaskInput } from './inbox.ts'
import { routedType, type RoutedData } from '../bus/routed.ts'
import { subscribedTypes, migrateType } from './instances.ts'
import { sourceOf, type ProgramDefinition } from './program.ts'
import { stepType } from './step-request.ts'
import { isUiAnswer, uiFailedType, uiResultType, uiTarget } from './ui-tools.ts'
import type { Task } from './task.ts'
import type { OpenCall, TurnBuilder } from './turn.ts'

/*
 * The rules of the engine: which events it subscribes to, what an input means to a task, and how a delivery ends that no turn
 * decides on.
 */

// With backoff about forty minutes: longer than two versions of an app overlap in a deployment.
const maxRedeliveries = 50
// With backoff about a minute: longer than a restarted server, or a new leader, takes to serve what was stored.
const maxJournalReads = 8
const sameBatchMs = 10
const requests = ['agent.invoke', forkType, retryType, 'agent.cancel', messageType]
const workflowRequests = [routedType, migrateType]
export const answerTypes: readonly string[] = [
  'tool.result', 'tool.failed', 'model.result', 'model.failed', 'step.result', 'step.failed',
  'agent.task.completed', 'agent.task.failed', 'agent.task.cancelled', 'approval.granted', 'approval.denied', uiResultType, uiFailedType,
] // biome-ignore format: one list

/** Another worker of this app, perhaps a newer version, may handle the event. */
export function unhandled({ event, attempt }: Delivery): DeliveryOutcome {
  const to = event.target === undefined ? '' : ` for "${event.target}"`
  const why = reason('E_PROGRAM_UNKNOWN', `no agent of this worker handles ${event.type}${to}`)
  return attempt < maxRedeliveries
    ? { kind: 'retry', after: backoff(attempt), reason: why }
    : { kind: 'park', reason: why }
}

/** A start that is delivered for the first time has no journal. If it has one after all, `commit` reports a conflict. */
export const isFirstStart = ({ program, joins, shared }: TaskInput) =>
  program !== undefined && !joins && shared.delivery.attempt === 1

/** Whether a correlation begins with this event, or with its batch, and this is its first delivery. */
export const isFirstOfCorrelation = ({ event, shared: { delivery } }: TaskInput) =>
  delivery.attempt === 1 &&
  event.hops === 0 &&
  Math.abs((mintedAt(event.correlationid) ?? 0) - Date.parse(event.time)) <= sameBatchMs

export function filterOf(programs: readonly ProgramDefinition[]): Filter {
  const types = programs.flatMap(({ on, waitsFor = [], instances }) => [
    ...on,
    ...waitsFor,
    ...(instances ? subscribedTypes(instances) : []),
  ])
  const on = [...new Set(types)]
  const more = [
    ...(programs.some(program => program.instances) ? workflowRequests : []),
    ...(programs.some(program => program.isScript) ? [stepType] : []),
  ]
  const addressed = { types: [...requests, ...answerTypes, ...more], targets: programs.map(program => program.name) }
  return on.length > 0 ? [addressed, { types: on }] : [addressed]
}

/** The task that an answer, a step, a message or a cancellation is addressed to. */
export function addresseeOf(event: CloudEvent): string | undefined {
  if (event.type === 'agent.invoke') return undefined
  if (isForTask(event) || event.type === migrateType) return event.subject ?? ''
  const call = event.type === stepType ? event.id : event.call
  return call && parseId(call)?.task
}

export function startsOn(program: ProgramDefinition, event: CloudEvent): boolean {
  if (isFork(event.type)) return event.target === program.name
  if (event.type === 'agent.invoke' && event.target === program.name) return true
  // Events about an agent's own tasks do not start the same agent, which would loop forever.
  if (event.type.startsWith('agent.') && event.source === sourceOf(program)) return false
  return program.on.some(pattern => matchesType(pattern, event.type))
}

/** What the engine does with an input: decide on it, run it, ignore it, or one of the cases in {@link classifyInput}. */
export type InputClass = 'accept' | 'run' | 'ignore' | 'early' | 'late' | 'reject' | 'forward'

/**
 * What an input means to its task, which depends on the state of the task alone, never on a window of time. `run`: the task waits for
 * this step. `early`: the journal does not have the turn yet that made this call. `late`: its workflow instance has ended. `reject`: the task was cancelled
 * before this start arrived. `forward`: it belongs to the task that continues this one.
 */
export function classifyInput(task: Task | undefined, input: TaskInput): InputClass {
  const { event, program, joins, isOffered, shared } = input
  if (joins) {
    if (task?.end) return task.machine.hasSeen?.(event) ? 'ignore' : 'late'
    return task || program !== undefined ? 'accept' : 'ignore'
  }
  if (program !== undefined) return task ? (task.isTombstone ? 'reject' : 'ignore') : 'accept'
  if (event.type === 'agent.cancel' && !task) return isOwnTask(event) ? 'accept' : 'ignore'
  if (isForTask(event) && task?.end === 'continued') return 'forward'
  if (!task) return mayAppearLater(shared.delivery) ? 'early' : 'ignore'
  if (task.end) return 'ignore'
  if (isForTask(event) || event.type === migrateType) return 'accept'
  if (isOffered) return task.machine.takes?.(event) ? 'accept' : 'ignore'
  const isStep = event.type === stepType
  const call = isStep ? event.id : event.call!
  const open = task.open.get(call)
  if (open && isUiAnswer(event) && open.target !== uiTarget) return 'ignore'
  if (open) return isStep ? 'run' : 'accept'
  return parseId(call)!.version > task.head ? 'early' : 'ignore'
}

/** The tenant whose events alone reach a task, and before its first turn the inputs that may start it: that of its start. */
export const tenantOf = (task: Task | undefined, batch: readonly TaskInput[]): string | undefined =>
  task ? task.identity.start.tenant : (batch.find(({ program }) => program !== undefined) ?? batch[0])?.event.tenant

/** Whether the subject of an event is the running task that it is for. */
const isForTask = ({ type }: CloudEvent): boolean => type === 'agent.cancel' || type === messageType

/**
 * Whether a journal that is empty now may still appear. The turn that asked for an answer was stored before the answer, so the
 * journal of a task that gets one exists, until it is purged.
 */
export const mayAppearLater = ({ attempt }: Delivery) => attempt <= maxJournalReads

export const retryLater = ({ attempt }: Delivery): DeliveryOutcome => ({
  kind: 'retry',
  after: backoff(attempt),
  reason: reason('E_JOURNAL_BEHIND', 'the turn that made the call is not on the log yet'),
})

/** Whether the subject of a cancellation is a task of its correlation. A task is handled in the shard of its correlation only. */
const isOwnTask = ({ subject = '', correlationid }: CloudEvent) =>
  isTaskId(subject) && correlationOf(subject) === correlationid

const second = 1_000
const hour = 3_600_000

/**
 * When to wake the task after this turn: when its first wait times out or its deadline passes, null for never. A time that is more than an
 * hour away is rounded up to a second, so that calls in quick succession keep the same wake-up and need no new index entry.
 */
export function wakeFor(task: Task, stillOpen: readonly OpenCall[], builder: TurnBuilder): number | null {
  if (builder.end) return null
  let next: number | null = task.deadline
  const consider = (until: number | null) => {
    if (until !== null && (next === null || until < next)) next = until
  }
  for (const { until } of stillOpen) consider(until)
  for (const { wait } of builder.emits) if (wait) consider(wait.until)
  return next !== null && next - builder.now > hour ? Math.ceil(next / second) * second : next
}

/** Reports an event that arrived after its workflow instance had ended. */
export function lateDraft(task: string, delivered: CloudEvent): Draft {
  const { id, type } = delivered.type === routedType ? (delivered.data as RoutedData).event : delivered
  const { tenant, correlationid, hops, replay } = delivered
  return {
    // One event may be late for several workflows.
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

/** The answer to a start whose task does not begin; undefined if no caller waits. */
export function cancelledDraft(program: ProgramDefinition, start: CloudEvent, why: string): Draft | undefined {
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
    data: { program: program.name, reason: why },
  }
}

/** The runtime did not make this `workflow.event`, and no instance can handle it. */
export function discardMisrouted({ id }: CloudEvent): DeliveryOutcome {
  const what = `the data of workflow.event ${id} must be { event }, and event.type must be its subject`
  const next =
    'Publish the event under its own type, and the runtime routes it to its instance. `tidings attention discard` removes this delivery.'
  return { kind: 'discard', reason: { ...reason('E_EVENT_INVALID', what), next } }
}

/** Refuses an event that no instance of this workflow may take. It is kept until somebody redelivers it, perhaps to another version. */
export function refusal({ instances }: ProgramDefinition, event: CloudEvent): DeliveryOutcome | undefined {
  try {
    instances?.check?.(event)
    return undefined
  } catch (error) {
    return { kind: 'discard', reason: reasonOf(errorData(error, 'E_EVENT_INVALID')) }
  }
}

export const isAnsweredBy = (inputs: readonly TaskInput[], { event }: TaskInput) =>
  event.call !== undefined && inputs.some(accepted => accepted.event.call === event.call)

export function outcomeForError(error: unknown, task: string, { attempt }: Delivery): DeliveryOutcome {
  const why = reasonOf(errorData(error, 'E_PROGRAM_FAILED'))
  // An unavailable log comes back, and so does a task that moved. A worker with a newer version may never start.
  const isTemporary = /^E_(LOG|BUS)_|^E_TASK_MOVED$/.test(why.code)
  if (error instanceof TidingsError && error.retryable && (isTemporary || attempt < maxRedeliveries))
    return { kind: 'retry', after: backoff(attempt), reason: why }
  return { kind: 'park', reason: why, key: `task/${task}` }
}
