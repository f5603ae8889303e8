import type { Bus } from '../bus/bus.ts'
import { correlationOf, counterpart, isTextDerived } from '../bus/ids.ts'
import { tappedName } from '../bus/tapped.ts'
import type { CloudEvent } from '../event.ts'
import { approvalType } from './approval.ts'
import { stepType } from './step-request.ts'

/*
 * What tools, models and approvers may do in a redrive, a fork or a mirror. All events that descend from one have its name in `replay`:
 * `redrive/ID`, `fork/ID` or `mirror/ID`. A request that must not reach its target is addressed to `$replay` instead, with the name of the target in `subject`, so
 * that no worker in any language receives it. Programs see the original request.
 */

/** `live`: the call is made. `recorded`: it gets the recorded answer. `stub`: it gets an answer from the user. `deny`: it fails. */
export const effects = ['live', 'recorded', 'stub', 'deny'] as const
export type Effect = (typeof effects)[number]

/**
 * What a redrive, a fork or a mirror repeats: the inputs of one correlation, all inputs of a period (RFC 3339, in UTC), a task, or the requests
 * of a strangler. The copy of a task starts with an `agent.fork`, whose id is its `replay`.
 */
export type ReplayOrigin =
  /** `replay`: the redrive or fork that the correlation belongs to. */
  | { readonly correlation: string; readonly replay?: string }
  | { readonly since: string; readonly until?: string }
  | { readonly task: string; readonly version: number }
  | { readonly strangler: string }

/** The document `replay/ID`: what a redrive, fork or mirror repeats, and the effects that it may have. */
export interface EffectPolicy {
  readonly kind: 'redrive' | 'fork' | 'mirror'
  readonly of: ReplayOrigin
  /**
   * By `tool/NAME`, `model/NAME`, `step/AGENT` or `approval/NAME`; `tool/*`, `model/*`, `step/*` and `approval/*` apply to all
   * others. Default: `deny`.
   */
  readonly effects: Readonly<Record<string, Effect>>
  /** The answers of stubs, by the same names: the output of a tool, the text or result of a model, true to grant an approval. */
  readonly stubs?: Readonly<Record<string, unknown>>
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
}

/** The target of requests that must not reach their tool, model or approver. */
export const replayTarget = '$replay'

/** The id of a redrive or fork. For a fork it is also the correlation of the copy. */
export const replayId = (replay: string) => replay.slice(replay.indexOf('/') + 1)
export const effectPolicyKey = (id: string) => `replay/${id}`

/** The original of a correlation in a redrive or fork. */
export function originalCorrelation({ of }: Pick<EffectPolicy, 'of'>, replay: string, correlation: string): string {
  const id = replayId(replay)
  if ('task' in of && correlation === id) return correlationOf(of.task)
  const original = counterpart(correlation, id)
  // A keyed instance has the correlation of its key, or its counterpart in the redrive that is repeated. The repeated correlation itself may
  // be derived from a text too.
  const isInstance = 'correlation' in of && original !== of.correlation && isTextDerived(original)
  const before = isInstance ? of.replay : undefined
  return before === undefined ? original : counterpart(original, replayId(before))
}

const policyTypes: readonly string[] = ['tool.invoke', 'model.invoke', stepType, approvalType]

/** The name under which an effect policy lists a request; undefined for all other events. */
export function effectKey({ type, target }: Pick<CloudEvent, 'type' | 'target'>): string | undefined {
  if (target === undefined || !policyTypes.includes(type)) return undefined
  return `${type.slice(0, type.indexOf('.'))}/${target}`
}

export function effectOf(policy: EffectPolicy | undefined, key: string): Effect {
  return policy?.effects[key] ?? policy?.effects[key.replace(/\/.*/s, '/*')] ?? 'deny'
}

/** A request as its program made it, with its original target. */
export function asRequested(event: CloudEvent): CloudEvent {
  if (event.target !== replayTarget) return event
  const { subject, ...asked } = event
  return { ...asked, target: subject! }
}

/** A request with what it called as its target, also if a tap observed it between other programs. */
export function asCalled(event: CloudEvent): CloudEvent {
  const name = tappedName(event)
  if (name === undefined) return asRequested(event)
  const { subject: _, ...asked } = event
  return { ...asked, target: name }
}

const maxPolicies = 1_000

/** Reads and caches effect policies, which never change. */
export class EffectPolicies {
  readonly #bus: Bus
  readonly #cached = new Map<string, EffectPolicy>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Undefined if there is none, which denies everything. */
  async get(replay: string): Promise<EffectPolicy | undefined> {
    const id = replayId(replay)
    const known = this.#cached.get(id)
    if (known) return known
    const policy = await this.#bus.documents.read<EffectPolicy>(effectPolicyKey(id))
    return policy && cacheEntry(this.#cached, id, policy, maxPolicies)
  }

  /** The events of a task as they are stored: in a redrive or fork, forbidden requests are addressed to `$replay`. */
  async apply(replay: string | undefined, events: readonly CloudEvent[]): Promise<readonly CloudEvent[]> {
    if (replay === undefined) return events
    const policy = await this.get(replay)
    return events.map(event => {
      const key = effectKey(event)
      const isLive = key === undefined || effectOf(policy, key) === 'live'
      return isLive ? event : { ...event, target: replayTarget, subject: event.target! }
    })
  }
}

export function cacheEntry<K, V>(known: Map<K, V>, key: K, value: V, maxEntries: number): V {
  if (known.size >= maxEntries) known.delete(known.keys().next().value!)
  known.set(key, value)
  return value
}
