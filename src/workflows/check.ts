import { TidingsError } from '../errors.ts'
import { assertName } from '../pattern.ts'
import { isRuntimeType } from '../bus/admit.ts'
import { milliseconds, type Timeout } from '../tasks/duration.ts'
import type { Condition, Definition, Expression, Pattern, Step } from './definition.ts'
import { eventTypes, patternLeaves, keptNames, stepsIn, mapBlocks } from './definition-tree.ts'

/** Returns the definition with unique step ids. @throws E_APP_INVALID if it cannot run */
export function checkDefinition(definition: Definition): Definition {
  const whole = { ...definition, steps: assignIds(definition.steps, '', new Map()) }
  validate(whole)
  return whole
}

/** @throws E_APP_INVALID, E_SETTING_INVALID if the definition cannot run */
export function validate(definition: Definition): void {
  const { format, name, version, steps, key, callable, within } = definition
  assertName(name, 'a workflow name')
  const refuse: Reject = what => {
    throw new TidingsError('E_APP_INVALID', `workflow "${name}": ${what}`)
  }
  if (format !== 1) refuse(`format ${String(format)} is not supported: expected 1`)
  if (!isCount(version)) refuse(`version ${version} is not a positive integer`)
  checkBound(within, refuse)
  const types = eventTypes(steps)
  if (callable && types.length > 0)
    refuse(
      `a workflow with \`input\` cannot wait for ${types[0]}, because each of its instances would take it; use \`on\` instead`,
    )
  if (!callable && steps[0]?.kind !== 'when')
    refuse('nothing starts it: give it `on`, `input` or a when() as its first step')
  for (const type of key ? types : [])
    if (!Object.hasOwn(key!, type)) refuse(`it waits for ${type} but has no key for it: add by(${type}, …)`)
  const ids = new Set<string>()
  for (const { id } of stepsIn(steps)) {
    if (ids.has(id)) refuse(`two steps have the id ${id}`)
    ids.add(id)
  }
  const kept = new Set(callable ? ['event'] : [])
  for (const step of stepsIn(steps))
    for (const each of keptNames(step)) {
      if (!/^[a-zA-Z_]\w*$/.test(each) || reserved.has(each))
        refuse(`${step.id}: the name "${each}" is reserved or not an identifier`)
      kept.add(each)
    }
  for (const step of stepsIn(steps)) checkStep(step, kept, refuse)
}

type Reject = (what: string) => void
// Placeholders cannot have fields of the last three names.
const reserved = new Set(['item', 'it', 'error', '__proto__', 'constructor', 'then', 'toJSON'])
const waitingKinds = new Set<Step['kind']>(['when', 'call', 'each', 'parallel', 'approve', 'wait'])

/** Step ids contain the path (`review/draft`); the second step of the same name gets `draft#2`. */
function assignIds(steps: readonly Step[], path: string, counts: Map<string, number>): Step[] {
  return steps.map(step => {
    const base = path + step.id
    const nth = (counts.get(base) ?? 0) + 1
    counts.set(base, nth)
    const id = nth === 1 ? base : `${base}#${nth}`
    return mapBlocks({ ...step, id }, block => assignIds(block, `${id}/`, counts))
  })
}

const isCount = (n: number) => Number.isInteger(n) && n > 0
// Dates in JavaScript end after about 270,000 years.
const maxBoundMs = 1_000 * 365 * 86_400_000

/** @throws E_SETTING_INVALID if it is not a duration */
function checkBound(bound: Timeout, refuse: Reject) {
  if (bound !== 'forever' && milliseconds(bound) > maxBoundMs)
    refuse(`${bound} is longer than a thousand years: use 'forever'`)
}

function checkStep(step: Step, kept: ReadonlySet<string>, refuse: Reject) {
  const read = (expression: Expression, ...more: string[]) => {
    for (const root of rootsOf(expression))
      if (!kept.has(root) && root !== 'error' && !more.includes(root))
        refuse(`${step.id} reads "${root}", which no step stores`)
  }
  const test = (condition: Condition, ...more: string[]) => {
    for (const expression of expressionsOf(condition)) read(expression, ...more)
  }
  if ('within' in step) checkBound(step.within, what => refuse(`${step.id}: ${what}`))
  switch (step.kind) {
    case 'when':
      for (const leaf of patternLeaves(step.pattern)) if (leaf.where) test(leaf.where, 'it')
      return checkPattern(step.pattern, what => refuse(`${step.id}: ${what}`))
    case 'call':
      read(step.input)
      return step.undo && read(step.undo.input)
    case 'each':
      if (!isCount(step.parallel)) refuse(`${step.id}: parallel must be a positive integer`)
      if (typeof step.join === 'object' && !isCount(step.join.quorum))
        refuse(`${step.id}: quorum must be a positive integer`)
      read(step.items)
      return read(step.input, 'item')
    case 'parallel':
      if (step.calls.length === 0) refuse(`${step.id}: needs at least one target`)
      return read(step.input)
    case 'approve':
      if (step.remind !== undefined) checkBound(step.remind, refuse)
      if (step.remind !== undefined && milliseconds(step.remind) === 0)
        refuse(`${step.id}: remind must be longer than 0 ms`)
      return read(step.what)
    case 'emit':
      if (step.target === undefined && isRuntimeType(step.type))
        refuse(`${step.type} is a type of the runtime and cannot be emitted`)
      return read(step.data)
    case 'wait':
      return 'after' in step.until ? checkBound(step.until.after, refuse) : read(step.until.moment)
    case 'choose':
      return test(step.condition)
    case 'repeat':
      if (!isCount(step.most)) refuse(`${step.id}: maxRounds must be a positive integer`)
      if (!stepsIn(step.steps).some(({ kind }) => waitingKinds.has(kind)))
        refuse(`${step.id}: at least one of its steps must wait`)
      return test(step.until)
    case 'complete':
      return read(step.output)
    case 'fail':
      return read(step.message)
    default:
      refuse(`${(step as Step).id} has an unknown kind`)
  }
}

function checkPattern(pattern: Pattern, refuse: Reject): void {
  switch (pattern.kind) {
    case 'on':
      return
    case 'count':
      return isCount(pattern.times) ? undefined : refuse(`count(${pattern.times}) is not a positive integer`)
    case 'absent':
      checkBound(pattern.within, refuse)
      return checkPattern(pattern.of, refuse)
    case 'seq':
    case 'all':
    case 'any':
      if (pattern.of.length === 0) refuse(`${pattern.kind}() needs a pattern`)
      return pattern.of.forEach(each => checkPattern(each, refuse))
    default:
      refuse('unknown kind of pattern')
  }
}

/** The first name of each path in an expression. */
function rootsOf(expression: Expression): string[] {
  if ('ref' in expression) return expression.ref.slice(0, 1)
  if ('fields' in expression) return Object.values(expression.fields).flatMap(rootsOf)
  if ('list' in expression) return expression.list.flatMap(rootsOf)
  return 'text' in expression ? expression.text.flatMap(rootsOf) : []
}

function expressionsOf(condition: Condition): Expression[] {
  if ('compare' in condition) return [condition.left, condition.right]
  if ('exists' in condition) return [condition.exists]
  if ('not' in condition) return expressionsOf(condition.not)
  return ('both' in condition ? condition.both : condition.either).flatMap(expressionsOf)
}
