import { TidingsError } from '../errors.ts'
import { assertName } from '../pattern.ts'
import { isRuntimeType } from '../bus/admit.ts'
import { milliseconds, type Timeout } from '../tasks/duration.ts'
import type { Condition, Definition, Expression, Pattern, Step } from './definition.ts'
import { eventTypes, leavesOf, namesOf, stepsIn, withBlocks } from './tree.ts'

/** The definition, with ids that are unique. @throws E_APP_INVALID for what could never run. */
export function checked(definition: Definition): Definition {
  const whole = { ...definition, steps: identified(definition.steps, '', new Map()) }
  validate(whole)
  return whole
}

/** @throws E_APP_INVALID, E_SETTING_INVALID for what could never run. */
export function validate(definition: Definition): void {
  const { format, name, version, steps, key, callable, within } = definition
  assertName(name, 'a workflow name')
  const refuse: Refuse = what => {
    throw new TidingsError('E_APP_INVALID', `workflow ${name}: ${what}`)
  }
  if (format !== 1) refuse(`its format is not 1`)
  if (!isCount(version)) refuse(`version ${version} is not a positive integer`)
  checkBound(within, refuse)
  const types = eventTypes(steps)
  if (callable && types.length > 0)
    refuse(
      `what is called by name cannot wait for ${types[0]}, which each of its calls would take; begin it by an event`,
    )
  if (!callable && steps[0]?.kind !== 'when')
    refuse('nothing begins it: give it `on`, `input`, or a first step that is a when()')
  for (const type of key ? types : [])
    if (!Object.hasOwn(key!, type))
      refuse(`it waits for ${type}, and no by(${type}, …) says to which instance that belongs`)
  const ids = new Set<string>()
  for (const { id } of stepsIn(steps)) {
    if (ids.has(id)) refuse(`two steps of it are ${id}`)
    ids.add(id)
  }
  const kept = new Set(callable ? ['event'] : [])
  for (const step of stepsIn(steps))
    for (const each of namesOf(step)) {
      if (!/^[a-zA-Z_]\w*$/.test(each) || reserved.has(each)) refuse(`${step.id}: nothing can be kept as "${each}"`)
      kept.add(each)
    }
  for (const step of stepsIn(steps)) checkStep(step, kept, refuse)
}

type Refuse = (what: string) => void
// A stand-in does not give the last ones.
const reserved = new Set(['item', 'it', 'error', '__proto__', 'constructor', 'then', 'toJSON'])
const waiting = new Set<Step['kind']>(['when', 'call', 'each', 'parallel', 'approve', 'wait'])

/** Ids say where a step stands: `review/draft`, and the second one of a name `draft#2`. */
function identified(steps: readonly Step[], path: string, counts: Map<string, number>): Step[] {
  return steps.map(step => {
    const base = path + step.id
    const nth = (counts.get(base) ?? 0) + 1
    counts.set(base, nth)
    const id = nth === 1 ? base : `${base}#${nth}`
    return withBlocks({ ...step, id }, block => identified(block, `${id}/`, counts))
  })
}

const isCount = (n: number) => Number.isInteger(n) && n > 0
// No clock goes further than some 270,000 years.
const longest = 1_000 * 365 * 86_400_000

/** @throws E_SETTING_INVALID for what is no duration */
function checkBound(bound: Timeout, refuse: Refuse) {
  if (bound !== 'forever' && milliseconds(bound) > longest)
    refuse(`${bound} is longer than a thousand years: write 'forever'`)
}

function checkStep(step: Step, kept: ReadonlySet<string>, refuse: Refuse) {
  const read = (expression: Expression, ...more: string[]) => {
    for (const root of rootsOf(expression))
      if (!kept.has(root) && root !== 'error' && !more.includes(root))
        refuse(`${step.id} reads ${root}, which no step keeps`)
  }
  const test = (condition: Condition, ...more: string[]) => {
    for (const expression of expressionsOf(condition)) read(expression, ...more)
  }
  if ('within' in step) checkBound(step.within, what => refuse(`${step.id}: ${what}`))
  switch (step.kind) {
    case 'when':
      for (const leaf of leavesOf(step.pattern)) if (leaf.where) test(leaf.where, 'it')
      return checkPattern(step.pattern, what => refuse(`${step.id}: ${what}`))
    case 'call':
      read(step.input)
      return step.undo && read(step.undo.input)
    case 'each':
      if (!isCount(step.parallel)) refuse(`${step.id}: parallel is a positive integer`)
      if (typeof step.join === 'object' && !isCount(step.join.quorum))
        refuse(`${step.id}: a quorum is a positive integer`)
      read(step.items)
      return read(step.input, 'item')
    case 'parallel':
      if (step.calls.length === 0) refuse(`${step.id}: there is nothing to call`)
      return read(step.input)
    case 'approve':
      if (step.remind !== undefined) checkBound(step.remind, refuse)
      if (step.remind !== undefined && milliseconds(step.remind) === 0) refuse(`${step.id}: remind every 0 ms`)
      return read(step.what)
    case 'emit':
      if (step.target === undefined && isRuntimeType(step.type))
        refuse(`${step.type} belongs to the runtime, and is not emitted`)
      return read(step.data)
    case 'wait':
      return 'after' in step.until ? checkBound(step.until.after, refuse) : read(step.until.moment)
    case 'choose':
      return test(step.condition)
    case 'repeat':
      if (!isCount(step.most)) refuse(`${step.id}: most is a positive integer`)
      if (!stepsIn(step.steps).some(({ kind }) => waiting.has(kind))) refuse(`${step.id}: nothing in it is waited for`)
      return test(step.until)
    case 'complete':
      return read(step.output)
    case 'fail':
      return read(step.message)
    default:
      refuse(`${(step as Step).id} is no step that it can take`)
  }
}

function checkPattern(pattern: Pattern, refuse: Refuse): void {
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
      refuse('it is no pattern')
  }
}

/** The names that an expression begins its paths with. */
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
