import type { ErrorData } from '../errors.ts'
import type { OperationRequest } from './operation-request.ts'

/*
 * A command of an operator as events. The gateway publishes the request, and a worker that hosts agents checks the policy itself, executes
 * and reports:
 *
 *     operation.requested ─▶ operation.started ─▶ … ─▶ operation.completed | operation.failed
 *                            the selection, which a worker that continues after a crash keeps to
 *
 * The id of the request is also its correlation.
 */

export const operationRequestedType = 'operation.requested'
export const operationStartedType = 'operation.started'
export const operationCompletedType = 'operation.completed'
export const operationFailedType = 'operation.failed'

/** Whose workers execute it: those of one app, or of any. No agent can have this name. */
export const operationTarget = (app?: string) => (app === undefined ? '$operations' : `$operations/${app}`)

/** Of the selection of an operation, so that there is one. */
export const selectionId = (operation: string) => `${operation}:started`

/** By which credential the gateway knew the operator: the id of an API key, or the roles in a token. */
export type OperatorCredential = { readonly key: string } | { readonly roles: readonly string[] }

/** Data of `operation.requested`. */
export interface OperationRequested {
  readonly request: OperationRequest
  /** Absent if the gateway has no policy. */
  readonly credential?: OperatorCredential | undefined
}

/** Data of `operation.started`. */
export interface OperationSelection {
  /** How many tasks or deliveries match. */
  readonly found: number
  /** Ids of those to act on, oldest first: at most as many as the request says. */
  readonly ids: readonly string[]
}

/** Data of `operation.completed`. That of a replay has a `ReplaySummary` too. */
export interface OperationResult {
  /** How many tasks, deliveries or events the request selects, also beyond its limit. */
  readonly found: number
  /** Of these: what this operation changed. 0 in a dry run. */
  readonly done: number
  /** What was so before: a task that was retried, a tool that was paused. */
  readonly unchanged: number
  readonly refused: number
  /** The first 100 ids of tasks, deliveries or correlations that it acted on, or would. */
  readonly ids: readonly string[]
  /** The first 100 tasks that it started, with their correlations. A redrive has correlations only. */
  readonly started?: readonly { readonly correlation: string; readonly task?: string }[]
  /** The first 20 refusals. */
  readonly refusals?: readonly { readonly id: string; readonly error: ErrorData }[]
}

/** The `source` of what an operation publishes: it names the user, so that a trace says who did it. */
export function operatorSource({ id, user = 'anyone' }: { readonly id: string; readonly user?: string }): string {
  const name = encodeURIComponent(user.toWellFormed())
  // A source has at most 256 characters.
  const short = name.length <= 200 ? name : encodeURIComponent(user.slice(0, 16).toWellFormed())
  return `/operators/${short}/${id}`
}

/** Who published an event, if an operation did. */
export function operatorIn(source: string): { readonly user: string; readonly operation: string } | undefined {
  const [, name, operation] = /^\/operators\/([^/]+)\/([0-9a-f-]{36})$/.exec(source) ?? []
  if (name === undefined || operation === undefined) return undefined
  try {
    return { user: decodeURIComponent(name), operation }
  } catch {
    return undefined
  }
}
