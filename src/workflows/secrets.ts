import type { Redactor } from '../bus/redact.ts'
import { TidingsError } from '../errors.ts'
import type { Json } from '../json.ts'
import { getPath } from '../tasks/get-path.ts'
import type { Definition, Expression, Step, Target } from './definition.ts'
import { stepsIn } from './definition-tree.ts'

/*
 * A definition is stored on the log unchanged, because instances execute it. Redacting a constant would change its meaning, so a constant
 * that redaction would hide is rejected when the app loads.
 */

/** @throws E_APP_INVALID if it contains a secret, or if an instance key is redacted */
export function assertNoSecrets(definition: Definition, redactor: Redactor): void {
  const { name, key = {}, steps } = definition
  const refuse = (where: string, mark: string): never => {
    throw new TidingsError(
      'E_APP_INVALID',
      `workflow "${name}": ${where} contains a secret (${mark}) that would be stored on the log in clear; let the tool that needs it read it from its environment`,
    )
  }
  const whole = firstDifference(definition, redactor.value(definition))
  if (whole) refuse(whole.path, whole.mark)
  for (const step of stepsIn(steps))
    for (const { type, data } of emittedConstants(step)) {
      const found = firstDifference(data, redactor.event({ type, data }).data)
      if (found) refuse(`step "${step.id}", ${type}, data.${found.path}`, found.mark)
    }
  for (const [type, path] of Object.entries(key)) {
    const data = path.reduceRight<unknown>((value, word) => ({ [word]: value }), 'key')
    if (getPath(redactor.event({ type, data }).data, path) !== 'key')
      throw new TidingsError(
        'E_APP_INVALID',
        `workflow "${name}" finds its instances by data.${path.join('.')} of ${type}, which redact.paths hides: all events would belong to one instance; use a field that is not redacted`,
      )
  }
}

function emittedConstants(step: Step): { type: string; data: unknown }[] {
  switch (step.kind) {
    case 'emit':
      return [{ type: step.type, data: constantsOf(step.data) }]
    case 'call':
      return [requestOf(step.target, step.input), ...(step.undo ? [requestOf(step.undo.target, step.undo.input)] : [])]
    case 'each':
      return [requestOf(step.target, step.input)]
    case 'parallel':
      return step.calls.map(({ as, target }) => {
        const { fields } = step.input as { fields?: Record<string, Expression> }
        return requestOf(target, fields?.[as] ?? step.input)
      })
    case 'approve':
      return [{ type: 'approval.requested', data: { what: { input: constantsOf(step.what) } } }]
    case 'complete':
      return [{ type: 'agent.task.completed', data: { output: constantsOf(step.output) } }]
    case 'when':
    case 'wait':
    case 'choose':
    case 'repeat':
    case 'fail':
      return []
  }
}

const requestOf = ({ kind }: Target, input: Expression) => ({
  type: kind === 'tool' ? 'tool.invoke' : 'agent.invoke',
  data: { input: constantsOf(input) },
})

/** The value of an expression, with null for values of an instance. */
function constantsOf(expression: Expression): Json {
  if ('value' in expression) return expression.value
  if ('list' in expression) return expression.list.map(constantsOf)
  if ('text' in expression) return expression.text.map(part => ('value' in part ? String(part.value) : '')).join('')
  if ('ref' in expression) return null
  return Object.fromEntries(Object.entries(expression.fields).map(([name, each]) => [name, constantsOf(each)]))
}

/** The first difference of a JSON value and its redacted copy, with the redaction mark. */
function firstDifference(before: unknown, after: unknown, path = ''): { path: string; mark: string } | undefined {
  if (before === after) return undefined
  if (typeof after !== 'object' || after === null) return { path, mark: /\[redacted [^\]]+\]/.exec(String(after))![0] }
  const [left, right] = [Object.entries(before as object), Object.entries(after)]
  for (const [i, [name, value]] of left.entries()) {
    const [clean, cleaned] = right[i]!
    if (clean !== name) return { path: path || 'a key', mark: clean }
    const found = firstDifference(value, cleaned, path === '' ? name : `${path}.${name}`)
    if (found) return found
  }
  return undefined
}
