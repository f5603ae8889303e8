import { TidingsError } from '../errors.ts'
import { effects, type Effect, type EffectPolicy } from '../tasks/effects.ts'

/** A tool or a model of the app, as far as a redrive or a fork must know it. */
export interface Effectful {
  readonly kind: 'tool' | 'model'
  readonly name: string
  readonly readOnly: boolean
  readonly atMostOnce: boolean
}

/** What was said about effects: names or patterns of `tool/NAME`, `model/NAME` and `approval/NAME`, of which the longest decides. */
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
      throw new TidingsError('E_USAGE', `--effects "${rule}": say NAME=EFFECT, one of ${effects.join(', ')}`)
    rules.set(checkEffectPattern(pattern), known)
  }
  return rules
}

/** A name or a pattern of effects. @throws E_USAGE */
export function checkEffectPattern(pattern: string): string {
  if (pattern !== '*' && !/^(tool|model|approval)\/./.test(pattern))
    throw new TidingsError(
      'E_USAGE',
      `"${pattern}" is none of tool/NAME, model/NAME, approval/NAME; * in it stands for anything`,
    )
  return pattern
}

/**
 * What each tool and model of the app may do, and what all others may. Denied is what nothing is said about and what is not
 * read-only; nobody is asked; a tool that must not run twice is live only under its own name, and so is what the app does not know.
 * @throws E_USAGE where a stub has no answer
 */
export function resolveEffects(members: readonly Effectful[], rules: EffectRules): ResolvedEffects {
  const ruled: Record<string, Effect> = {}
  for (const { kind, name, readOnly, atMostOnce } of members) {
    const key = `${kind}/${name}`
    const effect = explicitEffect(key, rules)
    ruled[key] =
      atMostOnce && effect === 'live' && !rules.effects.has(key)
        ? 'deny'
        : (effect ?? defaultEffect(readOnly, atMostOnce))
  }
  for (const key of rules.effects.keys()) if (!key.includes('*')) ruled[key] = rules.effects.get(key)!
  for (const key of rules.stubs.keys()) ruled[key] = 'stub'
  for (const others of ['tool/*', 'model/*', 'approval/*']) {
    const effect = explicitEffect(others, rules)
    ruled[others] = effect === undefined || effect === 'live' ? 'deny' : effect
  }
  for (const [key, effect] of Object.entries(ruled))
    if (effect === 'stub' && !rules.stubs.has(key))
      throw new TidingsError('E_USAGE', `${key} is a stub without an answer: --stub ${key}=FILE.json`)
  return { effects: ruled, ...(rules.stubs.size > 0 && { stubs: Object.fromEntries(rules.stubs) }) }
}

const defaultEffect = (readOnly: boolean, atMostOnce: boolean): Effect => (readOnly && !atMostOnce ? 'live' : 'deny')

function explicitEffect(key: string, { effects: rules, stubs }: EffectRules): Effect | undefined {
  if (stubs.has(key)) return 'stub'
  let best: string | undefined
  for (const pattern of rules.keys())
    if (
      matchesGlob(pattern, key) &&
      (pattern === key || best === undefined || (best !== key && pattern.length > best.length))
    )
      best = pattern
  return best === undefined ? undefined : rules.get(best)
}

function matchesGlob(pattern: string, key: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === key
  if (!key.startsWith(first)) return false
  const last = rest.pop()!
  let at = first.length
  for (const part of rest) {
    const found = key.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return key.length - last.length >= at && key.endsWith(last)
}
