import { isTenant, type CloudEvent, type Draft } from '../event.ts'
import { TidingsError } from '../errors.ts'
import { jsonProblem, maxDepth } from '../json.ts'
import { parseExactly } from '../json-text.ts'
import { isType } from '../pattern.ts'
import { isCorrelation, isReservedId, maxOutsideId } from './ids.ts'

/*
 * Strict validation of events from outside the process. Each attribute has one rule; an attribute without a rule is rejected.
 */

// RFC 3339 in UTC, as Date.prototype.toISOString writes it, with or without fractions.
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/
const traceparent = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
const control = /[\u0000-\u001f\u007f]/

type Rule = (value: unknown) => string | undefined

const text =
  (max: number): Rule =>
  value =>
    typeof value === 'string' && value.length > 0 && value.length <= max && !control.test(value) && value.isWellFormed()
      ? undefined
      : `must be text of 1 to ${max} characters without control characters`
const shape =
  (pattern: RegExp, what: string): Rule =>
  value =>
    typeof value === 'string' && pattern.test(value) ? undefined : `must be ${what}`

const rules: Record<string, Rule> = {
  specversion: value => (value === '1.0' ? undefined : 'must be "1.0"'),
  id: text(256),
  source: text(256),
  type: value => (isType(value) ? undefined : 'must be a dotted lower-case name, such as order.paid'),
  time: shape(timestamp, 'an RFC 3339 time in UTC'),
  subject: text(256),
  datacontenttype: value => (value === 'application/json' ? undefined : 'must be application/json'),
  tenant: value => (isTenant(value) ? undefined : 'must be a lower-case name of at most 63 characters'),
  user: text(256),
  correlationid: value => (isCorrelation(value) ? undefined : 'must be a UUID in lower case'),
  causationid: text(256),
  target: text(128),
  replyto: text(128),
  call: text(256),
  deadline: shape(timestamp, 'an RFC 3339 time in UTC'),
  hops: value => (Number.isInteger(value) && (value as number) >= 0 ? undefined : 'must be a non-negative integer'),
  traceparent: shape(traceparent, 'a W3C traceparent'),
  replay: text(128),
  retryof: text(256),
  dataref: shape(/^sha256-[0-9a-f]{64}$/, 'a blob reference'),
  data: value => jsonProblem(value),
}

/** Events of the runtime may contain events from outside, so their data may be deeper. */
const logRules = { ...rules, data: (value: unknown) => jsonProblem(value, 2 * maxDepth) }
const envelopeRules = { ...rules, data: () => undefined }

const required = ['specversion', 'id', 'source', 'type', 'time', 'tenant', 'correlationid', 'hops'] as const

// Attributes that an outside publisher may set. The runtime sets source, tenant, user, hops and time.
const outside = new Set(['specversion', 'id', 'source', 'type', 'time', 'subject', 'datacontenttype', 'correlationid',
  'causationid', 'target', 'traceparent', 'data']) // biome-ignore format: one list

/** @throws E_EVENT_INVALID if the value is not a complete event */
export function checkEvent(value: unknown): CloudEvent {
  const attributes = checkAttributes(value, logRules)
  for (const name of required) if (attributes[name] === undefined) throw invalid(name, 'is missing')
  return value as CloudEvent
}

/** Checks all attributes except the data, which `jsonOf` has checked. @throws E_EVENT_INVALID */
export function checkEnvelope(event: CloudEvent): void {
  checkAttributes(event, envelopeRules)
  for (const name of required) if (event[name] === undefined) throw invalid(name, 'is missing')
}

/**
 * Reads what an outside publisher sent: `type` and `data`, optionally the other CloudEvents attributes.
 * `source` and `time` are accepted, because every CloudEvents client sends them, and replaced.
 * @throws E_EVENT_INVALID
 */
export function checkDraft(value: unknown): Draft {
  const attributes = checkAttributes(value, rules)
  for (const name of Object.keys(attributes))
    if (!outside.has(name)) throw invalid(name, 'is set by the runtime: leave it out')
  if (attributes.type === undefined) throw invalid('type', 'is missing')
  if (typeof attributes.id === 'string') checkOutsideId(attributes.id)
  const { specversion: _s, datacontenttype: _d, time: _t, source: _u, ...draft } = attributes
  return { data: null, ...draft } as unknown as Draft
}

function checkOutsideId(id: string): void {
  if (id.length > maxOutsideId) throw invalid('id', `must be text of 1 to ${maxOutsideId} characters`)
  if (!isReservedId(id)) return
  const hint = id.includes(':') ? 'it must not contain ":"; use "-" or "/" in its place' : 'choose another one'
  throw invalid('id', `has a form that is reserved for ids of the runtime: ${hint}`)
}

/** JSON text from outside as a value, see {@link parseExactly}. @throws E_EVENT_INVALID */
export function parseJson(text: string): unknown {
  try {
    return parseExactly(text)
  } catch (cause) {
    throw new TidingsError('E_EVENT_INVALID', `the text is not JSON: ${(cause as Error).message}`, { cause })
  }
}

function checkAttributes(value: unknown, rules: Record<string, Rule>): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TidingsError('E_EVENT_INVALID', 'an event must be a JSON object')
  for (const [name, attribute] of Object.entries(value)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (!rule) throw invalid(name.slice(0, 64), 'is unknown')
    const problem = rule(attribute)
    if (problem) throw invalid(name, problem)
  }
  return value as Record<string, unknown>
}

const invalid = (name: string, problem: string) =>
  new TidingsError('E_EVENT_INVALID', `attribute ${JSON.stringify(name)} ${problem}`)
