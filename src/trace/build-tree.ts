import type { CloudEvent } from '../event.ts'
import { callOfApproval, parseId, taskId } from '../bus/ids.ts'
import { routedType } from '../bus/routed.ts'
import { messageType } from '../tasks/asked.ts'
import { isInvocation } from '../tasks/fork.ts'
import type { Turn } from '../tasks/program.ts'
import { usageOf } from './outcome.ts'
import { operatorIn } from '../tasks/operation.ts'
import { publisherOf } from './publisher.ts'
import { turnIn, type TraceAnswer, type Branch, type Trace, type TraceNode, type TraceTask } from './tree.ts'

type Unit = TraceNode | TraceTask

/**
 * Builds a tree of events in any order, also of an incomplete set. Each event appears exactly once. If publishers claim causes in a
 * circle, the cycle is broken.
 */
export function buildTraceTree(events: readonly CloudEvent[]): Trace {
  const byId = new Map<string, CloudEvent>()
  for (const event of events) if (!byId.has(event.id)) byId.set(event.id, event)
  const all = [...byId.values()]

  const tasks = tasksOf(all)
  const closed = closedCalls(tasks)
  const nodes = new Map<string, TraceNode>()
  const requests = new Map<string, string>()
  for (const event of all) {
    if (turnIn(event)) continue
    const request = requestId(event, byId)
    if (request === undefined) nodes.set(event.id, nodeOf(event, tasks))
    else requests.set(event.id, request)
  }
  for (const [id, node] of nodes) node.gatedCall = nodes.get(callOfApproval(id) ?? '')
  for (const [id, request] of requests) {
    const event = byId.get(id)!
    const node = nodes.get(request)!
    if (event.call === request) node.answers.push({ event, verdict: verdict(event, tasks, closed) })
    else node.cancellation = event
  }

  /** The task or node that contains an event. */
  const holder = (id: string | undefined): Unit | undefined => {
    const event = id === undefined ? undefined : byId.get(id)
    if (!event) return undefined
    return turnIn(event) ? tasks.get(parseId(event.id)!.task) : nodes.get(requests.get(event.id) ?? event.id)
  }
  const starts = startsOf(tasks, all)
  const parents = new Map<Unit, Unit | undefined>()
  for (const task of tasks.values()) parents.set(task, holder(starts.get(task.id)))
  for (const node of nodes.values()) parents.set(node, node.by?.task ?? holder(node.event.causationid))
  breakCycles(parents)

  const trace = { nodes: [], tasks: [], events: all.length, spent: usageOf(all), replays: new Map() } satisfies Trace
  for (const [unit, parent] of parents) {
    const branch: Branch = parent ?? trace
    if (unit.kind === 'task') branch.tasks.push(unit)
    else branch.nodes.push(unit)
  }
  return trace
}

/** The tasks with at least one turn or event, with the data of their turns. */
function tasksOf(events: readonly CloudEvent[]): Map<string, TraceTask> {
  const tasks = new Map<string, TraceTask>()
  for (const event of events) {
    const turn = turnIn(event)
    const id = turn ? parseId(event.id)!.task : emitterOf(event)?.task
    if (id === undefined) continue
    let task = tasks.get(id)
    if (!task) tasks.set(id, (task = taskOf(id, event)))
    if (turn) addTurn(task, event, turn)
    else if (/^agent\.task\.(completed|failed|cancelled)$/.test(event.type)) task.ending = event
  }
  for (const { turns } of tasks.values()) turns.sort((a, b) => (a.id < b.id ? -1 : 1))
  return tasks
}

function taskOf(id: string, { source }: CloudEvent): TraceTask {
  const { kind, name: program } = publisherOf(source)
  const station = kind === 'workflow' ? kind : 'agent'
  return { kind: 'task', id, station, program, turns: [], nodes: [], tasks: [] }
}

function addTurn(task: TraceTask, event: CloudEvent, turn: Turn) {
  task.turns.push(event)
  task.program = turn.program
  task.programVersion = Math.max(task.programVersion ?? 0, turn.programVersion)
  if (turn.retryOf !== undefined) task.retryOf = turn.retryOf
  const operator = turn.version === 1 ? operatorIn(String(turn.inputs[0]?.source)) : undefined
  if (operator) task.operator = operator.user
  task.started = Math.min(task.started ?? Infinity, turn.at)
  if (!turn.end) return
  task.end = turn.end
  task.ended = turn.at
}

function nodeOf(event: CloudEvent, tasks: ReadonlyMap<string, TraceTask>): TraceNode {
  const emitter = emitterOf(event)
  const by = emitter && { task: tasks.get(emitter.task)!, turn: emitter.version }
  return { kind: 'node', event, ...(by && { by }), answers: [], nodes: [], tasks: [] }
}

function emitterOf({ id }: CloudEvent) {
  const parsed = parseId(id)
  return parsed && parsed.ordinal !== undefined && parsed.suffix === undefined ? parsed : undefined
}

/** The request that an event answers or cancels, if the request is present. A continuation and a forwarded message have a `call` too. */
function requestId(event: CloudEvent, byId: ReadonlyMap<string, CloudEvent>): string | undefined {
  const id = isAnswer(event)
    ? event.call
    : parseId(event.id)?.suffix === 'cancel'
      ? event.id.slice(0, -':cancel'.length)
      : undefined
  const request = id === undefined ? undefined : byId.get(id)
  return request && !isAnswer(request) && !turnIn(request) && asks(request) ? id : undefined
}

/** Whether an event can be a request: an event that a task emitted, or the approval that a tool call waits for. */
const asks = ({ id }: CloudEvent) => parseId(id)?.suffix === undefined || callOfApproval(id) !== undefined

const isAnswer = ({ type, call }: CloudEvent) =>
  call !== undefined && type !== 'agent.invoke' && type !== 'agent.cancel' && type !== messageType

function closedCalls(tasks: ReadonlyMap<string, TraceTask>): Map<string, string> {
  const closed = new Map<string, string>()
  for (const task of tasks.values())
    for (const event of task.turns)
      for (const { id, call } of turnIn(event)!.inputs)
        if (call?.startsWith(`${task.id}:`) && !closed.has(call)) closed.set(call, id)
  return closed
}

function verdict(
  { id, call }: CloudEvent,
  tasks: ReadonlyMap<string, TraceTask>,
  closed: ReadonlyMap<string, string>,
): TraceAnswer['verdict'] {
  const asker = parseId(call!)?.task
  const closing = closed.get(call!)
  if (asker === undefined || closing === id || callOfApproval(call!) !== undefined) return 'taken'
  return closing !== undefined || tasks.get(asker)?.end ? 'late' : 'open'
}

function startsOf(tasks: ReadonlyMap<string, TraceTask>, events: readonly CloudEvent[]): Map<string, string> {
  const known = new Set(events.map(({ id }) => id))
  const starts = new Map<string, string>()
  for (const { id, type, target, correlationid } of events)
    if (isInvocation(type) && target !== undefined) starts.set(taskId(correlationid, target, id), id)
  for (const { id, turns } of tasks.values()) {
    const first = turns[0] && turnIn(turns[0])
    if (first?.version !== 1 || !first.inputs[0]) continue
    const start = first.inputs[0]
    starts.set(id, start.type === routedType ? firstRoutedInput(turns, known, start) : start.id)
  }
  return starts
}

/** The first event of the trace that was routed to a workflow instance. An event of another correlation may have started it. */
function firstRoutedInput(turns: readonly CloudEvent[], known: ReadonlySet<string>, start: CloudEvent): string {
  for (const event of turns)
    for (const { type, id } of turnIn(event)!.inputs) if (type === routedType && known.has(id)) return id
  return start.id
}

/** A unit visited twice on the way up becomes a root, which breaks the cycle. Visits each unit once. */
function breakCycles(parents: Map<Unit, Unit | undefined>) {
  const sound = new Set<Unit>()
  for (const start of parents.keys()) {
    if (sound.has(start)) continue
    const path = new Set<Unit>()
    let unit: Unit | undefined = start
    while (unit && !sound.has(unit) && !path.has(unit)) {
      path.add(unit)
      unit = parents.get(unit)
    }
    if (unit && path.has(unit)) parents.set(unit, undefined)
    for (const each of path) sound.add(each)
  }
}
