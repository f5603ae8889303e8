import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { effectPolicyKey, effects, type Effect, type EffectPolicy } from '../tasks/effects.ts'

/** What a redrive or a fork needs to know of a tool or a model. */
export interface Effectful {
  readonly kind: 'tool' | 'model'
  readonly name: string
  readonly readOnly: boolean
  readonly atMostOnce: boolean
}

/** Effects by name or pattern of `tool/NAME`, `model/NAME`, `step/AGENT` and `approval/NAME`. The longest matching pattern applies. */
export interface EffectRules {
  readonly effects: ReadonlyMap<string, Effect>
  readonly stubs: ReadonlyMap<string, unknown>
}

export type ResolvedEffects = Pick<EffectPolicy, 'effects' | 'stubs'>

/** Reads `tool/web.search=live,model/*=recorded,*=deny`. @throws E_USAGE */
export function parseEffects(text: string): Map<string, Effect> {
  const rules = new Map<string, Effect>()
  for (const rule of text.split(',').filter(each => each.trim() !== '')) {
    const [, pattern, effect] = /^\s*(.+?)\s*=\s*(\w+)\s*$/.exec(rule) ?? []
    const known = effects.find(each => each === effect)
    if (pattern === undefined || !known)
      throw new TidingsError(
        'E_USAGE',
        `invalid --effects "${rule}": expected NAME=EFFECT with an effect of ${effects.join(', ')}`,
      )
    rules.set(checkEffectPattern(pattern), known)
  }
  return rules
}

/** Returns a valid name or pattern. @throws E_USAGE */
export function checkEffectPattern(pattern: string): string {
  if (pattern !== '*' && !/^(tool|model|step|approval)\/./.test(pattern))
    throw new TidingsError(
      'E_USAGE',
      `invalid name "${pattern}": expected tool/NAME, model/NAME, step/AGENT or approval/NAME, where * matches anything`,
    )
  return pattern
}

/**
 * Decides the effect of each tool and model of the app and of all others. Without a rule, read-only tools and models are live and
 * everything else is denied, steps and approvals included. An `atMostOnce` tool, the steps of an agent, and anything that the app does
 * not contain, are live only under their exact name. @throws E_USAGE if a stub has no answer
 */
export function resolveEffects(members: readonly Effectful[], rules: EffectRules): ResolvedEffects {
  const ruled: Record<string, Effect> = {}
  for (const { kind, name, readOnly, atMostOnce } of members) {
    const key = `${kind}/${name}`
    const effect = explicitEffect(key, rules) ?? (readOnly ? 'live' : 'deny')
    ruled[key] = atMostOnce && effect === 'live' && !rules.effects.has(key) ? 'deny' : effect
  }
  for (const key of rules.effects.keys()) if (!key.includes('*')) ruled[key] = rules.effects.get(key)!
  for (const key of rules.stubs.keys()) ruled[key] = 'stub'
  for (const others of ['tool/*', 'model/*', 'step/*', 'approval/*']) {
    const effect = explicitEffect(others, rules)
    ruled[others] = effect === undefined || effect === 'live' ? 'deny' : effect
  }
  for (const [key, effect] of Object.entries(ruled))
    if (effect === 'stub' && !rules.stubs.has(key))
      throw new TidingsError('E_USAGE', `${key} is a stub without an answer: add --stub ${key}=FILE.json`)
  return { effects: ruled, ...(rules.stubs.size > 0 && { stubs: Object.fromEntries(rules.stubs) }) }
}

function explicitEffect(key: string, { effects: rules, stubs }: EffectRules): Effect | undefined {
  if (stubs.has(key)) return 'stub'
  const matching = [...rules].filter(([pattern]) => matchesGlob(pattern, key))
  const [longest] = matching.toSorted(([a], [b]) => b.length - a.length)
  return rules.get(key) ?? longest?.[1]
}

const matchesGlob = (pattern: string, key: string) =>
  new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`, 's').test(key)

/** A new redrive or fork. */
export interface ReplayRun {
  readonly kind: EffectPolicy['kind']
  readonly id: string
  /** Value of the attribute `replay` on every event that descends from it: `redrive/ID` or `fork/ID`. */
  readonly replay: string
}

/** Who starts a redrive or fork. */
export interface RunOrigin {
  /** The source of its events. */
  readonly source: string
  /** Of the run, a UUIDv7, if it may be repeated: a second time has no effect. Default: a new one. */
  readonly id?: string
}

export const byCommandLine: RunOrigin = { source: '/cli' }

/** Starts a redrive or fork: stores its effect policy, which must exist before the first event is published. */
export async function startReplayRun(
  bus: Bus,
  rules: Omit<EffectPolicy, 'by' | 'at'>,
  { source, id = randomUUIDv7() }: RunOrigin,
): Promise<ReplayRun> {
  const { kind } = rules
  const policy: EffectPolicy = { ...rules, by: source, at: new Date().toISOString() }
  await bus.documents.create(effectPolicyKey(id), policy)
  return { kind, id, replay: `${kind}/${id}` }
}
