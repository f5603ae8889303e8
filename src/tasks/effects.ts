import type { Bus } from '../bus/bus.ts'
import { correlationOf, counterpart, isTextDerived } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { approvalType } from './approval.ts'

/*
 * What tools and models may do in a redrive or a fork, and whether people are asked. All that descends from one bears its mark, `redrive/ID` or `fork/ID`.
 * A request that may not reach its tool, model or person is addressed to `$replay`, with
 * the name in `subject`: no worker, in any language, is handed what it must not do. Programs never see the difference.
 */

/** `live`: is done. `recorded`: what was answered then. `stub`: the answer that was given by hand. `deny`: fails. */
export const effects = ['live', 'recorded', 'stub', 'deny'] as const
export type Effect = (typeof effects)[number]

/**
 * What a redrive or a fork repeats: the inputs of one correlation, or all inputs of a time (RFC 3339, in UTC), or a task. A task's
 * copy begins with an `agent.fork`, whose id is the mark.
 */
export type ReplayOrigin =
  | {
      readonly correlation: string /** Where that is part of a redrive or a fork: its mark. */
      readonly replay?: string
    }
  | { readonly since: string; readonly until?: string }
  | { readonly task: string; readonly version: number }

/** The document `replay/ID`: what a redrive or a fork is, and what it may do. */
export interface EffectPolicy {
  readonly kind: 'redrive' | 'fork'
  readonly of: ReplayOrigin
  /** By `tool/NAME`, `model/NAME`, `approval/NAME`; `tool/*` and so on stand for all others. What is in none is denied. */
  readonly effects: Readonly<Record<string, Effect>>
  /** What the stubs answer, by the same names: the output of a tool, the text or the result of a model, true for what is granted. */
  readonly stubs?: Readonly<Record<string, unknown>>
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
}

/** To whom the requests are addressed that do not reach their tool, model or person. */
export const replayTarget = '$replay'

/** The id of a redrive or a fork. Of a task's copy it is also the correlation that the copy began. */
export const replayId = (mark: string) => mark.slice(mark.indexOf('/') + 1)
export const effectPolicyKey = (id: string) => `replay/${id}`

/** Of a correlation in a redrive or a fork with this mark: the original one. */
export function originalCorrelation({ of }: Pick<EffectPolicy, 'of'>, mark: string, correlation: string): string {
  const id = replayId(mark)
  if ('task' in of && correlation === id) return correlationOf(of.task)
  const original = counterpart(correlation, id)
  // An instance with a key has the correlation of the key, or its counterpart in the redrive that is repeated.
  const before = 'correlation' in of && isTextDerived(original) ? of.replay : undefined
  return before === undefined ? original : counterpart(original, replayId(before))
}

const policyTypes: readonly string[] = ['tool.invoke', 'model.invoke', approvalType]

/** The name under which the effects of a request are ruled; undefined for all other events. */
export function effectKey({ type, target }: Pick<CloudEvent, 'type' | 'target'>): string | undefined {
  if (target === undefined || !policyTypes.includes(type)) return undefined
  return `${type.slice(0, type.indexOf('.'))}/${target}`
}

export function effectOf(terms: EffectPolicy | undefined, key: string): Effect {
  return terms?.effects[key] ?? terms?.effects[key.replace(/\/.*/s, '/*')] ?? 'deny'
}

/** An event of a marked task as it goes to the log. */
function applyEffectPolicy(event: CloudEvent, terms: EffectPolicy | undefined): CloudEvent {
  const key = effectKey(event)
  if (key === undefined || effectOf(terms, key) === 'live') return event
  return { ...event, target: replayTarget, subject: event.target! }
}

/** A request as its program made it. */
export function asRequested(event: CloudEvent): CloudEvent {
  if (event.target !== replayTarget) return event
  const { subject, ...asked } = event
  return { ...asked, target: subject! }
}

const maxPolicies = 1_000

/** Reads the terms of redrives and forks. They never change. */
export class EffectPolicies {
  readonly #bus: Bus
  readonly #cached = new Map<string, EffectPolicy>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Undefined where there are none: then everything is denied. */
  async get(mark: string): Promise<EffectPolicy | undefined> {
    const id = replayId(mark)
    const known = this.#cached.get(id)
    if (known) return known
    const policy = await this.#bus.documents.read<EffectPolicy>(effectPolicyKey(id))
    return policy && cacheEntry(this.#cached, id, policy, maxPolicies)
  }

  /** What a task emits, as it goes to the log: of a redrive or a fork, only what it may do reaches tools and models. */
  async apply(mark: string | undefined, events: readonly CloudEvent[]): Promise<readonly CloudEvent[]> {
    if (mark === undefined) return events
    const terms = await this.get(mark)
    return events.map(event => applyEffectPolicy(event, terms))
  }
}

export function cacheEntry<K, V>(known: Map<K, V>, key: K, value: V, most: number): V {
  if (known.size >= most) known.delete(known.keys().next().value!)
  known.set(key, value)
  return value
}
