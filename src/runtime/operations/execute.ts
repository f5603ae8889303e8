import type { Bus } from '../../bus/bus.ts'
import { correlationFrom, correlationOf, counterpart, dismissedId, isTaskId } from '../../bus/ids.ts'
import { TidingsError, toTidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { checkEffectPattern, resolveEffects, type ResolvedEffects } from '../../replay/effects.ts'
import { planFork, publishFork } from '../../replay/fork.ts'
import type { ReplaySummary } from '../../replay/summary.ts'
import type { Duration } from '../../tasks/duration.ts'
import { momentOf, type OperationOf, type OperationRequest } from '../../tasks/operation-request.ts'
import {
  operationStartedType,
  operatorSource,
  selectionId,
  type OperationResult,
  type OperationSelection,
} from '../../tasks/operation.ts'
import type { App } from '../app.ts'
import type { QueryIndex } from '../../trace/index/open.ts'
import { cancelTask } from './cancel-task.ts'
import { publishDismissal } from '../../trace/attention/failed-tasks.ts'
import { forEachOf } from './for-each.ts'
import { setPaused } from './hosted.ts'
import { effectTargets, planRedrive } from './rerun.ts'
import { retryTask } from './retry-task.ts'
import { isSingle, select, type SelectiveRequest } from './select.ts'
import { assertTaskOf } from '../../tasks/task-start.ts'

/** What executes operations: a worker that hosts agents. */
export interface OperationHost {
  readonly bus: Bus
  readonly app: App
  readonly query: QueryIndex
  /** How long failed tasks are on the attention list. */
  readonly failedFor: Duration
  /** URL of the module of the app, for replays. */
  readonly module?: string | undefined
  /** The worker stops: another one continues. */
  readonly signal: AbortSignal
}

export const interrupted = () =>
  new TidingsError('E_WORKER_STOPPED', 'the worker stops; another one continues the operation', { retryable: true })

const maxIds = 100
const maxRefusals = 20
const maxRedriven = 10_000

/**
 * Executes a command of an operator. A second time, after a crash, it continues with the same selection, and what it has done is done once.
 * @throws E_NOT_FOUND, E_REQUEST_INVALID, E_RETRY_REFUSED, E_LOG_UNAVAILABLE, E_WORKER_STOPPED
 */
export async function execute(
  host: OperationHost,
  event: CloudEvent,
  request: OperationRequest,
): Promise<OperationResult> {
  if (request.action === 'pause' || request.action === 'resume') return pauseOrResume(host, event, request)
  if (request.action === 'fork') return fork(host, event, request)
  if (request.action === 'redrive') return redrive(host, event, request)
  if (request.action === 'replay') return replay(host, event, request)
  return actOnMany(host, event, request)
}

async function pauseOrResume(
  { bus }: OperationHost,
  event: CloudEvent,
  { action, kind, name }: OperationOf<'pause' | 'resume'>,
): Promise<OperationResult> {
  const { id, correlationid, tenant, user } = event
  const by = { source: operatorSource(event), correlationid, causationid: id, tenant, ...(user && { user }) }
  const isChanged = await setPaused(bus, { kind, name }, action === 'pause', by)
  return { found: 1, done: isChanged ? 1 : 0, unchanged: isChanged ? 0 : 1, refused: 0, ids: [name] }
}

async function replay(
  host: OperationHost,
  event: CloudEvent,
  request: OperationOf<'replay'>,
): Promise<OperationResult & Partial<ReplaySummary>> {
  const { found, ids } = await selectionFor(host, event, request)
  const counts = { found, done: 0, unchanged: 0, refused: 0, ids: ids.slice(0, maxIds) }
  if (request.dryRun || ids.length === 0) return counts
  const summary = await (await import('./replay-tasks.ts')).replayTasks(host, ids)
  return { ...counts, done: summary.checked, ...summary }
}

/** An operation that does something to each of what it selects. */
type ActingRequest = Exclude<SelectiveRequest, { action: 'replay' }>

/** What became of one task or delivery. */
interface Acted {
  readonly state: 'done' | 'unchanged'
  readonly started?: string
}

async function actOnMany(host: OperationHost, event: CloudEvent, request: ActingRequest): Promise<OperationResult> {
  const { found, ids } = await selectionFor(host, event, request)
  const counts = { done: 0, unchanged: 0, refused: 0 }
  const shown = ids.slice(0, maxIds)
  if (request.dryRun) return { found, ...counts, ids: shown }
  const refusals: { id: string; error: ReturnType<TidingsError['toJSON']> }[] = []
  const started: { correlation: string; task: string }[] = []
  await forEachOf(ids, async id => {
    if (host.signal.aborted) throw interrupted()
    const acted = await act(host.bus, event, request, id).catch(error => toTidingsError(error, 'E_INTERNAL'))
    if (acted instanceof TidingsError) {
      if (isSingle(request) || (acted.retryable && acted.code !== 'E_RETRY_REFUSED')) throw acted
      counts.refused++
      if (refusals.length < maxRefusals) refusals.push({ id, error: acted.toJSON() })
      return
    }
    counts[acted.state]++
    if (acted.started !== undefined && started.length < maxIds)
      started.push({ correlation: correlationOf(acted.started), task: acted.started })
  })
  return {
    found,
    ...counts,
    ids: shown,
    ...(started.length > 0 && { started }),
    ...(refusals.length > 0 && { refusals }),
  }
}

/** The selection of the first attempt: tasks that failed since then, and those that a retry started, are not in it. */
async function selectionFor(
  { bus, query, failedFor }: OperationHost,
  event: CloudEvent,
  request: SelectiveRequest,
): Promise<OperationSelection> {
  const { id, correlationid, tenant, user, time } = event
  const earlier = await storedSelection(bus, event)
  if (earlier) return earlier
  const selection = await select(request, { bus, query, failedFor, tenant, at: Date.parse(time) })
  if (request.dryRun) return selection
  const about = { id: selectionId(id), type: operationStartedType, source: operatorSource(event), tenant }
  const by = { correlationid, causationid: id, ...(user !== undefined && { user }) }
  await bus.publish({ ...about, ...by, data: selection })
  // Another worker may have been faster.
  return (await storedSelection(bus, event)) ?? selection
}

async function storedSelection(bus: Bus, { id, correlationid }: CloudEvent): Promise<OperationSelection | undefined> {
  const stored = await bus.get(selectionId(id), correlationid)
  return stored && ((await bus.resolve(stored)).data as OperationSelection)
}

/** Acts on one task or delivery, and has no effect if it did so before. */
async function act(bus: Bus, event: CloudEvent, request: ActingRequest, id: string): Promise<Acted> {
  const source = operatorSource(event)
  const state = (isDone: boolean): Acted => ({ state: isDone ? 'done' : 'unchanged' })
  if (request.action === 'release') return state((await bus.redeliver({ id })) > 0)
  if (request.action === 'retry') {
    const retried = await retryTask(bus, id, source)
    if (retried.state === 'resumed') return state(true)
    if (retried.state === 'existing' && retried.by !== source) return state(false)
    return { state: 'done', started: retried.task }
  }
  if (request.action === 'cancel') {
    const cancel = correlationFrom(`${event.id}\0${id}`)
    const isRepeated = await bus.get(cancel, correlationOf(id))
    if (!isRepeated) await cancelTask(bus, id, { source, reason: request.reason, id: cancel })
    return state(true)
  }
  if (!isTaskId(id)) return state(await bus.discard(id))
  await publishDismissal(bus, { task: id, event: event.id }, source)
  return state((await bus.get(dismissedId(id), correlationOf(id)))?.source === source)
}

/** Of the redrive or fork that an operation starts: the same each time. */
const runOf = (event: CloudEvent) => ({ source: operatorSource(event), id: counterpart(event.id, 'run') })

async function fork(
  { bus, app }: OperationHost,
  event: CloudEvent,
  { task, turn, edits, reissue, ...rules }: OperationOf<'fork'>,
): Promise<OperationResult> {
  await assertTaskOf(bus, task, event.tenant)
  const plan = await planFork(bus, { task, version: turn, edits, reissue })
  const { task: forked, correlation } = await publishFork(bus, plan, 'fork', ruledBy(app, rules), runOf(event))
  return { ...oneDone, ids: [task], started: [{ correlation, task: forked }] }
}

const oneDone = { found: 1, done: 1, unchanged: 0, refused: 0 }

async function redrive(
  { bus, app }: OperationHost,
  event: CloudEvent,
  { dryRun, ...request }: OperationOf<'redrive'>,
): Promise<OperationResult> {
  const { parts, publish } = await planRedrive(bus, await redriven(bus, event, request), request.types, event.tenant)
  const found = parts.reduce((sum, { events }) => sum + events.length, 0)
  const ids = parts.slice(0, maxIds).map(({ of }) => of)
  const counts = { found, done: dryRun ? 0 : found, unchanged: 0, refused: 0, ids }
  if (found > maxRedriven)
    throw new TidingsError('E_REQUEST_INVALID', `${found} events match; a redrive has at most ${maxRedriven}`, {
      next: 'Give a shorter period, or types.',
    })
  const ruled = ruledBy(app, request)
  if (dryRun || found === 0) return counts
  const published = await publish(ruled, runOf(event))
  return { ...counts, started: ids.map(of => ({ correlation: published.counterpart(of) })) }
}

async function redriven(bus: Bus, event: CloudEvent, request: Omit<OperationOf<'redrive'>, 'dryRun'>) {
  const { task, correlation, since, until } = request
  const at = Date.parse(event.time)
  if (task !== undefined) {
    await assertTaskOf(bus, task, event.tenant)
    return { task }
  }
  if (correlation !== undefined) return { correlation }
  return { since: momentOf(since!, at), until: until === undefined ? at : momentOf(until, at) }
}

function ruledBy(app: App, { effects, stubs }: Pick<OperationOf<'fork'>, 'effects' | 'stubs'>): ResolvedEffects {
  for (const name of [...Object.keys(effects), ...Object.keys(stubs)]) checkEffectPattern(name)
  return resolveEffects(effectTargets(app), {
    effects: new Map(Object.entries(effects)),
    stubs: new Map<string, unknown>(Object.entries(stubs)),
  })
}
