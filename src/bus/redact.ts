import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { isRuntimeType } from './admit.ts'
import { isTaskId, parseId } from './ids.ts'
import { matchesType } from '../pattern.ts'
import { modelResultType, redactAnswer } from './redact-answer.ts'
import { isReferences, pathOf, plainOf, redactPaths, type Path } from './redact-paths.ts'
import { keyedSecrets, mayHoldAny, secrets } from './redact-secrets.ts'

/** What to redact on the log and in signals, traces and exports. See docs/redaction.md. */
export interface Redaction {
  /**
   * Where it stands in events: `data.card.number`, `data.**.password`, `email.received:data.headers.*.value`. `*` is one key
   * or index, `**` any number of them; before a colon the types of the events, else all.
   */
  readonly paths?: readonly string[]
  /** Patterns that are redacted in every text of every event. They should match nothing else and run in linear time. */
  readonly patterns?: readonly { readonly name: string; readonly match: RegExp }[]
  /** Whether the secrets that are known by their shape are redacted too. Default true. */
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

/** Of an event, or of one that is to be, what redaction looks at. */
type RedactableEvent = Pick<CloudEvent, 'type' | 'subject' | 'data'>

interface Rule {
  readonly mark: string
  /** Undefined for what is declared, which is looked for in every text. */
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
// No secret that is known by its shape is shorter.
const minSecretLength = 8
const maxDepth = 64
const maxSubjectLength = 256
const turnType = 'task.turn'
/** Data of these holds events and turns. */
export const forkTypes: readonly string[] = ['agent.fork', 'agent.retry']

/** Redacts by rules. The same input gives the same output, and doing it twice changes nothing. */
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

  /** Whether patterns are declared, so that a secret may look like anything. */
  get hasPatterns(): boolean {
    return this.#declared.length > 0
  }

  /** A text with a mark in place of each secret. */
  text(text: string): string {
    return this.knownSecrets(this.#redactDeclared(text))
  }

  /** The same for what is known by its shape only: ids and names may look like what is declared. */
  knownSecrets(text: string): string {
    if (!this.#defaults || text.length < minSecretLength || !mayHoldAny.test(text)) return text
    let clean = text
    for (const { mark, mayHold, match, isSecret } of builtIn)
      if (mayHold!.test(clean)) clean = clean.replace(match, found => (!isSecret || isSecret(found) ? mark : found))
    return clean
  }

  /** A JSON value; the same object where it holds nothing to redact. Names of keys are texts too. */
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

  /** An event; the same object where it holds nothing to redact. */
  event<T extends RedactableEvent>(event: T): T {
    const data = this.#data(event)
    const subject = this.#subject(event)
    if (data === event.data && subject === event.subject) return event
    return { ...event, ...(subject !== undefined && { subject }), data }
  }

  /**
   * Ids and names must stay what they are: an event in which one holds a secret that is known by its shape is not let in.
   * @throws E_EVENT_INVALID
   */
  assertNames(draft: Names): void {
    for (const name of nameAttributes) {
      const text = draft[name]
      if (text !== undefined && this.knownSecrets(text) !== text)
        throw new TidingsError('E_EVENT_INVALID', `attribute "${name}" holds a secret`)
    }
  }

  /** Bytes that may be text, of whatever encoding that has ASCII in it. */
  bytes(bytes: Uint8Array): Uint8Array {
    const encoding = isUtf8(bytes) ? 'utf8' : 'latin1'
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding)
    const clean = this.text(text)
    return clean === text ? bytes : Buffer.from(clean, encoding)
  }

  #data({ type, data }: RedactableEvent): unknown {
    if (type === turnType) return this.#turn(data)
    if (forkTypes.includes(type)) return this.#fork(data)
    if (isReferences(type)) return this.#value(data, text => this.knownSecrets(text), 0)
    const elsewhere = this.#paths.length > 0 ? redactPaths(this.#paths, type, data) : data
    if (type === modelResultType) return redactAnswer(data, elsewhere, value => this.value(value))
    return this.value(elsewhere)
  }

  /** A turn repeats its inputs, and what it says else is made of names and ids, but for the state. */
  #turn(data: unknown): unknown {
    const { inputs, state } = (data ?? {}) as { inputs?: readonly CloudEvent[]; state?: unknown }
    // The data is in a blob that was purged, or another program published something else under this type.
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
    // What is nested deeper is refused by the bus.
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

/** By rules, and what is known by its shape. @throws E_APP_INVALID */
export const redactor = (rules?: Redaction): Redactor => new Redactor(rules)

/** Redacts only secrets that are known by their shape: for code without an app. */
export const plainRedactor = new Redactor()

function ruleOf({ name, match }: { name: string; match: RegExp }): Rule {
  if (!/^[\w-]{1,64}$/.test(name))
    throw new TidingsError('E_APP_INVALID', `"${name}" does not name a pattern: letters, digits, - and _, at most 64`)
  if (!types.isRegExp(match)) throw new TidingsError('E_APP_INVALID', `the pattern ${name} has no regular expression`)
  return { mark: markOf(name), match: new RegExp(match.source, `${match.flags.replace(/[gy]/g, '')}g`) }
}

/** Whether the subject of an event of the runtime names a task, or an event of one: declared rules would break it. */
const isReference = (type: string, subject: string) =>
  isRuntimeType(type) && (isTaskId(subject) || parseId(subject) !== undefined)

/** Whether something in a JSON value was hidden, so that values that differed may look the same. */
export const isRedacted = (value: unknown): boolean => JSON.stringify(value).includes('[redacted ')

const isEvent = (value: unknown): value is CloudEvent =>
  isObject(value) && 'specversion' in (value as object) && 'data' in (value as object)

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

function markOf(name: string): string {
  return `[redacted ${name}]`
}

/** Keys that became equal stay distinct. Of each key the last number is kept, or many equal keys would take quadratic time. */
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
