import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { textOf, TidingsError } from '../errors.ts'
import { canonicalJson } from '../tasks/canonical.ts'
import { digest } from '../tasks/turn.ts'
import type { Cluster } from './cluster.ts'
import { pathPattern, type Divergence } from './divergence.ts'

/*
 * Intended divergences, in a file beside the code that causes them. An entry accepts only the listed values, and only until its date:
 *
 *     { "signature": "3f2a9c01d4", "what": "writer: agent.task.completed changed at data.output",
 *       "until": "2027-02-27", "values": { "data.output": [{ "is": "Hello!" }] } }
 */

/** A value that today's code may produce at a path. `digest` is used for long values. */
export type ValueRule =
  | { readonly is: unknown }
  | { readonly digest: string }
  | { readonly matches: string }
  | { readonly absent: true }
  | { readonly any: true }

interface Entry {
  readonly signature: string
  readonly what: string
  /** The last day, in UTC. */
  readonly until: string
  /** By path. The path of an added or removed event is `data`; that of a thrown error is `error`. */
  readonly values: Readonly<Record<string, readonly ValueRule[]>>
}

export interface Acceptance {
  readonly accepted: boolean
  /** Why the entry of this signature does not accept the divergence. */
  readonly note?: string
}

const dayMs = 86_400_000
const acceptedDays = 90
// In characters of JSON. Longer values are compared by digest.
const maxInlineChars = 400

export class AcceptedDivergences {
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #now: number

  constructor(entries: readonly Entry[] = [], now = Date.now()) {
    this.#entries = new Map(entries.map(entry => [entry.signature, entry]))
    this.#now = now
  }

  /** @throws E_NOT_FOUND, E_ACCEPT_INVALID */
  static read(path: string): AcceptedDivergences {
    if (!existsSync(path))
      throw new TidingsError('E_NOT_FOUND', `no file "${path}"`, { next: 'Run with --update to write it.' })
    try {
      const { accepted } = JSON.parse(readFileSync(path, 'utf8')) as { accepted: unknown[] }
      return new AcceptedDivergences(accepted.map(parseEntry))
    } catch (cause) {
      throw new TidingsError('E_ACCEPT_INVALID', `${path}: ${textOf(cause)}`, { cause })
    }
  }

  check(divergence: Divergence): Acceptance {
    const entry = this.#entries.get(divergence.signature)
    if (!entry) return { accepted: false }
    if (Date.parse(entry.until) + dayMs <= this.#now)
      return { accepted: false, note: `was accepted until ${entry.until}` }
    const other = valuesOf(divergence).find(([path, value]) => !entry.values[path]?.some(rule => allows(rule, value)))
    return other ? { accepted: false, note: `is accepted with other values at ${other[0]}` } : { accepted: true }
  }

  accepts(divergence: Divergence): boolean {
    return this.check(divergence).accepted
  }

  /** Writes a file that accepts exactly these clusters. An entry that already accepts its whole cluster stays unchanged. */
  update(path: string, clusters: readonly Cluster[]): void {
    const accepted = clusters.map(cluster => {
      const known = this.#entries.get(cluster.signature)
      return known && cluster.divergences.every(each => this.accepts(each)) ? known : this.#entryFor(cluster)
    })
    writeFileSync(path, `${JSON.stringify({ accepted }, null, 2)}\n`)
  }

  #entryFor({ signature, title, divergences }: Cluster): Entry {
    const values: Record<string, Map<string, ValueRule>> = {}
    for (const divergence of divergences)
      for (const [path, value] of valuesOf(divergence)) {
        const rule = ruleFor(value)
        ;(values[path] ??= new Map()).set(canonicalJson(rule), rule)
      }
    return {
      signature,
      what: title,
      until: new Date(this.#now + acceptedDays * dayMs).toISOString().slice(0, 10),
      values: Object.fromEntries(Object.entries(values).map(([path, rules]) => [path, [...rules.values()]])),
    }
  }
}

function valuesOf({ kind, changes, data, error }: Divergence): [path: string, value: unknown][] {
  const values = changes.map(({ path, after }): [string, unknown] => [pathPattern(path), after])
  if (kind === 'added' || kind === 'removed') values.push(['data', data])
  if (error !== undefined) values.push(['error', error])
  return values
}

function ruleFor(value: unknown): ValueRule {
  if (value === undefined) return { absent: true }
  return JSON.stringify(value).length > maxInlineChars ? { digest: digestOf(value) } : { is: value }
}

function allows(rule: ValueRule, value: unknown): boolean {
  if ('any' in rule) return true
  if (value === undefined) return 'absent' in rule
  if ('is' in rule) return canonicalJson(rule.is) === canonicalJson(value)
  if ('digest' in rule) return rule.digest === digestOf(value)
  return 'matches' in rule && typeof value === 'string' && new RegExp(rule.matches).test(value)
}

const digestOf = (value: unknown) => digest(canonicalJson(value))

const ruleKinds = ['is', 'digest', 'matches', 'absent', 'any']

function parseEntry(value: unknown): Entry {
  const { signature, until, values } = (value ?? {}) as Partial<Entry>
  if (typeof signature !== 'string') throw new Error('an entry lacks "signature"')
  if (!/^\d{4}-\d{2}-\d{2}$/.test(until ?? '') || Number.isNaN(Date.parse(until!)))
    throw new Error(`entry ${signature}: "until" must be a date such as 2027-02-27`)
  if (typeof values !== 'object' || values === null) throw new Error(`entry ${signature} lacks "values"`)
  for (const [path, rules] of Object.entries(values))
    for (const rule of Array.isArray(rules) ? rules : [undefined]) checkRule(rule, `entry ${signature}, "${path}"`)
  return value as Entry
}

function checkRule(rule: unknown, where: string): void {
  const kinds = Object.keys(rule ?? {})
  if (kinds.length !== 1 || !ruleKinds.includes(kinds[0]!))
    throw new Error(`${where}: expected a list of rules, each one of ${ruleKinds.join(', ')}`)
  // Throws if it is not a regular expression.
  if (kinds[0] === 'matches') void new RegExp((rule as { matches: string }).matches)
}
