import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId } from '../bus/ids.ts'
import type { Redactor } from '../bus/redact.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { jsonOf } from '../json.ts'
import type { Turn } from './program.ts'
import { maxInlineStateChars } from './turn.ts'

/*
 * The state that straight-line code shows: `ctx.state`. Each turn records it, so the newest turn of a task answers a query in any
 * process, without the code and without the task. The code itself does not read it from the log: it sets it again when it is repeated.
 */

/** The JSON of `ctx.state` for a turn; undefined while it is empty. @throws E_VALUE_INVALID if it is not JSON, or too large */
export function stateJson(state: object, redactor: Redactor): string | undefined {
  if (Object.keys(state).length === 0) return undefined
  const json = redactor.json(JSON.stringify(jsonOf(state, 'ctx.state')))
  if (json.length <= maxInlineStateChars) return json
  throw new TidingsError(
    'E_VALUE_INVALID',
    `ctx.state has ${json.length} characters of JSON; the maximum is ${maxInlineStateChars}. Keep large data in events, and their ids in the state`,
  )
}

/**
 * What a turn shows to a user: `ctx.state`, the state of a program, or what a workflow has captured. Undefined if it shows nothing, as in the
 * loop of a model agent.
 */
export function shownStateIn({ source, data }: CloudEvent): unknown {
  const { state } = data as Turn
  if (source.startsWith('/workflows/')) return (state as { scope?: unknown } | undefined)?.scope
  const isModelLoop = typeof state === 'object' && state !== null && 'fresh' in state && 'misfits' in state
  return isModelLoop ? undefined : state
}

/** What {@link readTaskState} finds. */
export interface RecordedState {
  /** `ctx.state` of straight-line code, the state of a program if it is small, or what a workflow has captured; undefined if the task shows none. */
  readonly state: unknown
  /** The turn that recorded it. */
  readonly version: number
  /** Ms since the epoch. */
  readonly at: number
}

/**
 * The state of a task as of its newest turn, read from the log: the task is not loaded, woken or changed.
 * Undefined if the log has no turn of it.
 * @example
 * const shown = await readTaskState(running.bus, handle.id)
 * console.log(shown?.state)                  // { phase: 'paying' }
 */
export async function readTaskState(bus: Bus, task: string): Promise<RecordedState | undefined> {
  const turn = await readNewestTurn(bus, task)
  return turn && { state: shownStateIn(turn), version: turn.data.version, at: turn.data.at }
}

/** The newest turn of a task with its data; undefined if the log has none. */
export async function readNewestTurn(bus: Bus, task: string): Promise<CloudEvent<Turn> | undefined> {
  const newest = (await bus.newestTurns(correlationOf(task))).find(({ id }) => parseId(id)!.task === task)
  return newest && ((await bus.resolve(newest)) as CloudEvent<Turn>)
}
