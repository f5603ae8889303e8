import { Strangler } from '../strangler/strangler.ts'
import type { StranglerOptions } from '../strangler/options.ts'
import { TapMirror, type TapMirrorOptions } from '../strangler/tap-mirror.ts'
import type { Trigger } from '../triggers/trigger.ts'
import { connect } from './connect.ts'

export type { Begun, Strangler } from '../strangler/strangler.ts'
export type { Side } from '../strangler/bucket.ts'
export type { CompareOptions } from '../strangler/differences.ts'
export type { Control, Decision, Violation } from '../strangler/control.ts'
export type {
  HasLog,
  OldContext,
  RollbackOptions,
  StranglerRunOptions,
  StranglerOptions,
} from '../strangler/options.ts'

export type { TapMirrorOptions } from '../strangler/tap-mirror.ts'

/**
 * Puts an agent or workflow in the place of a function, request by request: first as a mirror that nobody sees, then for a share of the users, and
 * back at once when it errs. Until `tidings strangler set` says otherwise, `old` answers everything.
 * @throws E_APP_INVALID
 * @example
 * const reports = strangler('reports', {
 *   old: ({ user }: { user: string }) => ({ title: `Report of ${user}` }),
 *   candidate: 'report',
 *   key: input => input.user,
 * })
 * await reports.open()
 * show(await reports.run({ user: 'ann' }))
 */
export const strangler = <Input, Output>(
  name: string,
  options: StranglerOptions<Input, Output>,
): Strangler<Input, Output> => new Strangler(name, options, () => connect())

/**
 * Compares an agent or workflow with a service that exists, by the requests that an HTTP tap records: nothing of the service changes. A member of
 * `use` of an app; `tidings strangler set NAME --mirror 20%` says how many requests are compared, and `tidings strangler report NAME` shows the result.
 * @throws E_APP_INVALID
 * @example
 * const desk = app({ use: [helper, mirrorTap('reports', { tap: 'http', route: 'POST /reports', candidate: helper })] })
 */
export const mirrorTap = (name: string, options: TapMirrorOptions): Trigger => new TapMirror(name, options)
