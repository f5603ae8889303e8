import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { isRuntimeType } from './admit.ts'
import { isTaskId, parseId } from './ids.ts'
import { matchesType } from '../pattern.ts'
import { isTapped } from './tapped.ts'
import { modelResultType, redactAnswer } from './redact-answer.ts'
import { isReferences, mayCover, pathOf, plainOf, redactPaths, type Path } from './redact-paths.ts'
import { keyedSecrets, mayHoldAny, secrets } from './redact-secrets.ts'

/** What to redact on the log and in signals, traces and exports. See docs/redaction.md. */
export interface Redaction {
  /**
   * Path in the event: `data.card.number`, `data.**.password`, `email.received:data.headers.*.value`. `*` is one key or
   * index, `**` any number of them. A pattern of event types may precede it, with a colon. Default: all types.
   */
  readonly paths?: readonly string[]
  /** Redacted in every text of every event. A pattern should match only secrets, and run in linear time. */
  readonly patterns?: readonly { readonly name: string; readonly match: RegExp }[]
  /** Whether built-in secret formats are redacted too. Default true. */
  readonly defaults?: boolean
}

const nameAttributes = [
  'id',
  'source',
  'type',
  'tenant',
  'user',
  'causationid',
  'target',
  'replyto',
  'call',
  'replay',
] as const
type Names = { readonly [Name in (typeof nameAttributes)[number]]?: string | undefined }

/** The fields of an event or draft that redaction reads. */
type RedactableEvent = Pick<CloudEvent, 'type' | 'subject' | 'data' | 'target'>

interface Rule {
  readonly mark: string
  /** A quick test. Undefined for declared patterns, which run on every text. */
  readonly mayHold?: RegExp
  readonly match: RegExp
  readonly isSecret?: (found: string) => boolean
}

const builtIn: readonly Rule[] = secrets.map(({ name, hints, match, isSecret }) => ({
  mark: markOf(name),
  mayHold: new RegExp(hints.join('|')),
  match,
  ...(isSecret && { isSecret }),
}))
const revealingKey = new RegExp(keyedSecrets.map(({ key }) => key.source).join('|'), 'i')
// No built-in format is shorter.
const minSecretLength = 8
const maxDepth = 64
const maxSubjectLength = 256
const turnType = 'task.turn'
/** Types whose data holds events and turns. */
export const forkTypes: readonly string[] = ['agent.fork', 'agent.retry']

/**
 * Redacts by the rules of an app. Deterministic and idempotent.
 * @example show(redactor({ paths: ['data.card.number'] }).event({ type: 'order.paid', data: { card: { number: '4111' } } }))
 */
export class Redactor {
  readonly #paths: readonly Path[]
  readonly #declared: readonly Rule[]
  readonly #defaults: boolean

  /** @throws E_APP_INVALID */
  constructor({ paths = [], patterns = [], defaults = true }: Redaction = {}) {
    this.#paths = paths.map(pathOf)
    this.#declared = patterns.map(ruleOf)
    this.#defaults = defaults
    const marks = [...this.#paths, ...this.#declared, ...(defaults ? builtIn : [])].map(({ mark }) => mark)
    for (const { mark, match } of this.#declared)
      for (const each of ['', ...marks])
        if (each.search(match) >= 0)
          throw new TidingsError(
            'E_APP_INVALID',
            `the pattern of ${mark} also matches "${each}", the mark that Tidings writes: narrow the pattern`,
          )
  }

  /** Whether patterns are declared. A secret may then have any form. */
  get hasPatterns(): boolean {
    return this.#declared.length > 0
  }

  /** Whether a declared path may cover a place in the data of a type: {@link mayCover}. */
  mayCover(type: string, at: readonly string[], isObject?: boolean): boolean {
    return this.#paths.some(path => mayCover(path, type, at, isObject))
  }

  /** A text with a mark in place of each secret. */
  text(text: string): string {
    return this.knownSecrets(this.#redactDeclared(text))
  }

  /** Redacts only built-in formats. For ids and names, which a declared pattern may match by chance. */
  knownSecrets(text: string): string {
    if (!this.#defaults || text.length < minSecretLength || !mayHoldAny.test(text)) return text
    let clean = text
    for (const { mark, mayHold, match, isSecret } of builtIn)
      if (mayHold!.test(clean)) clean = clean.replace(match, found => (!isSecret || isSecret(found) ? mark : found))
    return clean
  }

  /** A JSON value; the same object if there is nothing to redact. Redacts keys too. */
  value<T>(value: T): T {
    return this.#value(value, text => this.text(text), 0) as T
  }

  /** A JSON text. */
  json(json: string): string {
    if (!this.hasPatterns && !(this.#defaults && mayHoldAny.test(json))) return json
    const value: unknown = JSON.parse(json)
    const clean = this.value(value)
    return clean === value ? json : JSON.stringify(clean)
  }

  /** An event; the same object if there is nothing to redact. */
  event<T extends RedactableEvent>(event: T): T {
    const data = this.#data(event)
    const subject = this.#subject(event)
    if (data === event.data && subject === event.subject) return event
    return { ...event, ...(subject !== undefined && { subject }), data }
  }

  /**
   * Ids and names cannot be redacted, so an event in which one contains a built-in secret format is rejected.
   * @throws E_EVENT_INVALID
   */
  assertNames(draft: Names): void {
    for (const name of nameAttributes) {
      const text = draft[name]
      if (text !== undefined && this.knownSecrets(text) !== text)
        throw new TidingsError('E_EVENT_INVALID', `attribute "${name}" contains a secret`)
    }
  }

  /** Bytes that may be text, in any encoding that extends ASCII. */
  bytes(bytes: Uint8Array): Uint8Array {
    const encoding = isUtf8(bytes) ? 'utf8' : 'latin1'
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding)
    const clean = this.text(text)
    return clean === text ? bytes : Buffer.from(clean, encoding)
  }

  #data(event: RedactableEvent): unknown {
    const { type, data } = event
    if (type === turnType) return this.#turn(data)
    if (forkTypes.includes(type)) return this.#fork(data)
    // The request of a tap holds its messages itself.
    if (isReferences(type) && !isTapped(event)) return this.#value(data, text => this.knownSecrets(text), 0)
    const elsewhere = this.#paths.length > 0 ? redactPaths(this.#paths, type, data) : data
    if (type === modelResultType) return redactAnswer(data, elsewhere, value => this.value(value))
    return this.value(elsewhere)
  }

  /** Besides its inputs and state, a turn contains only names and ids. */
  #turn(data: unknown): unknown {
    const { inputs, state } = (data ?? {}) as { inputs?: readonly CloudEvent[]; state?: unknown }
    // Its blob was purged, or another program published this type with other data.
    if (!Array.isArray(inputs) || !inputs.every(isObject)) return this.value(data)
    const cleanInputs = inputs.map(input => this.event(input))
    const cleanState = this.value(state)
    if (cleanState === state && cleanInputs.every((input, i) => input === inputs[i])) return data
    return { ...(data as object), inputs: cleanInputs, ...(state !== undefined && { state: cleanState }) }
  }

  /** Redacts events, turns and the state inside a fork. Its other texts are ids. */
  #fork(data: unknown): unknown {
    if (isEvent(data)) return this.event(data)
    if (Array.isArray(data)) {
      const clean = data.map(each => this.#fork(each))
      return clean.every((each, i) => each === data[i]) ? data : clean
    }
    if (!isObject(data)) return data
    const clean = Object.entries(data as object).map(([key, value]) => [key, this.#forked(key, value)] as const)
    return clean.every(([key, value]) => value === (data as Record<string, unknown>)[key])
      ? data
      : Object.fromEntries(clean)
  }

  #forked(key: string, value: unknown): unknown {
    if (key === 'turn') return this.#turn(value)
    return key === 'state' && typeof value === 'string' ? this.json(value) : this.#fork(value)
  }

  #subject({ type, subject }: RedactableEvent): string | undefined {
    if (subject === undefined) return subject
    if (isReference(type, subject)) return this.knownSecrets(subject)
    const path = this.#paths.find(({ keys, types }) => keys[0] === 'subject' && matchesType(types, type))
    const clean = path ? path.mark : this.text(subject)
    return clean === subject ? subject : clean.slice(0, maxSubjectLength).toWellFormed()
  }

  #redactDeclared(text: string): string {
    let clean = text
    for (const rule of this.#declared) clean = clean.replace(rule.match, rule.mark)
    return clean
  }

  #value(value: unknown, redact: (text: string) => string, depth: number): unknown {
    if (typeof value === 'string') return redact(value)
    // The bus rejects deeper values.
    if (typeof value !== 'object' || value === null || depth > maxDepth) return value
    const plain = plainOf(value)
    if (plain !== value) {
      const clean = this.#value(plain, redact, depth + 1)
      return clean === plain ? value : clean
    }
    return Array.isArray(value)
      ? this.#array(value, redact, depth + 1)
      : this.#object(value as Record<string, unknown>, redact, depth + 1)
  }

  #array(value: readonly unknown[], redact: (text: string) => string, depth: number): unknown {
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const clean = this.#value(value[i], redact, depth)
      if (clean !== value[i]) (copy ??= [...value])[i] = clean
    }
    return copy ?? value
  }

  #object(value: Record<string, unknown>, redact: (text: string) => string, depth: number): unknown {
    const keys = Object.keys(value)
    let copy: [string, unknown][] | undefined
    // Each value is visited once: a second visit at every level would double the time with each level.
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      const name = redact(key)
      const clean = this.#keyed(key, this.#value(value[key], redact, depth))
      if (name !== key || clean !== value[key]) copy ??= keys.slice(0, i).map(each => [each, value[each]])
      copy?.push([name, clean])
    }
    return copy ? Object.fromEntries(distinct(copy)) : value
  }

  #keyed(key: string, value: unknown): unknown {
    if (!this.#defaults || typeof value !== 'string' || !revealingKey.test(key)) return value
    for (const each of keyedSecrets) if (each.key.test(key)) return value.replace(each.match, markOf(each.name))
    return value
  }
}

/**
 * Redacts by rules and built-in formats.
 * @throws E_APP_INVALID
 * @example
 * const rules = redactor({ patterns: [{ name: 'card', match: /\b\d{16}\b/ }] })
 * show(rules.text('paid with 4111111111111111')) // paid with [redacted card]
 */
export const redactor = (rules?: Redaction): Redactor => new Redactor(rules)

/** Redacts only built-in secret formats: for code without an app. */
export const plainRedactor = new Redactor()

function ruleOf({ name, match }: { name: string; match: RegExp }): Rule {
  if (!/^[\w-]{1,64}$/.test(name))
    throw new TidingsError(
      'E_APP_INVALID',
      `"${name}" is not a name of a pattern: expected at most 64 letters, digits, - and _`,
    )
  if (!types.isRegExp(match))
    throw new TidingsError('E_APP_INVALID', `the pattern "${name}" has no regular expression: give it as \`match\``)
  return { mark: markOf(name), match: new RegExp(match.source, `${match.flags.replace(/[gy]/g, '')}g`) }
}

/** Whether the subject of a runtime event is the id of a task or of its event, which declared rules must not change. */
const isReference = (type: string, subject: string) =>
  isRuntimeType(type) && (isTaskId(subject) || parseId(subject) !== undefined)

/** Whether a JSON value contains redaction marks: different values may then have become equal. */
export const isRedacted = (value: unknown): boolean => JSON.stringify(value).includes('[redacted ')

const isEvent = (value: unknown): value is CloudEvent =>
  isObject(value) && 'specversion' in (value as object) && 'data' in (value as object)

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

function markOf(name: string): string {
  return `[redacted ${name}]`
}

/** Numbers keys that became equal. Remembers the last number of each key: otherwise many equal keys take quadratic time. */
function* distinct(entries: readonly [string, unknown][]): Generator<[string, unknown]> {
  const numbers = new Map<string, number>()
  for (const [key, value] of entries) {
    let free = key
    let number = numbers.get(key) ?? 1
    while (numbers.has(free)) free = `${key} ${++number}`
    numbers.set(key, number)
    if (free !== key) numbers.set(free, 1)
    yield [free, value]
  }
}
