import fc from 'fast-check'
import { plainRedactor } from '../../src/bus/redact.ts'
import { jsonOf } from '../../src/json.ts'
import { tools, type ToolName } from './tools.ts'

/*
 * Random programs that change everything they touch, as data: a program is the text of its steps, so that every process runs
 * the same. `expected` runs one without Tidings: whatever crosses is cloned by JSON, and nothing else is shared.
 */

export type Program =
  | { readonly kind: 'script'; readonly input: unknown; readonly steps: readonly Step[] }
  | { readonly kind: 'bare'; readonly input: unknown; readonly steps: readonly Call[] }

/** Asks a tool about a value, and changes that value while the answer is under way. */
export interface Call {
  readonly do: 'call'
  readonly tool: ToolName
  readonly of: number
  readonly change: Change
}

export type Step =
  | Call
  /** Changes a value in place. */
  | { readonly do: 'change'; readonly of: number; readonly change: Change }
  /** Puts one value into another: from then on a change of one is a change of both. */
  | { readonly do: 'link'; readonly of: number; readonly to: number }
  /** Emits a value, and changes it. */
  | { readonly do: 'emit'; readonly of: number; readonly change: Change }
  /** Calls side by side, which change what they share. */
  | { readonly do: 'all'; readonly calls: readonly Call[] }
  | { readonly do: 'sleep' }

export interface Change {
  /** Which of the objects and arrays within the value. */
  readonly at: number
  readonly how: 'add' | 'drop' | 'raise'
}

// A token by its shape: it crosses redacted.
const secret = 'ghp_0123456789abcdefghijABCDEFGHIJ012345'

const { value } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.integer({ min: -9, max: 9 }),
    fc.constantFrom<unknown>(true, null, 'text', secret, new Date(0), -0, undefined),
    fc.array(
      tie('value').filter(item => item !== undefined),
      { maxLength: 3 },
    ),
    fc.dictionary(fc.constantFrom('total', 'lines', 'note', 'secret', 'k1'), tie('value'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
}))
const nth = fc.nat(20)
const change = fc.record({ at: nth, how: fc.constantFrom('add', 'drop', 'raise') }) as fc.Arbitrary<Change>
const toolName = fc.constantFrom(...(Object.keys(tools) as ToolName[]))
const call: fc.Arbitrary<Call> = fc.record({ do: fc.constant('call'), tool: toolName, of: nth, change })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: call },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('change'), of: nth, change }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('link'), of: nth, to: nth }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('emit'), of: nth, change }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('all'), calls: fc.array(call, { minLength: 2, maxLength: 3 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'sleep' } as const) },
)
const input = fc.dictionary(fc.constantFrom('total', 'lines', 'note'), value, { minKeys: 1, noNullPrototype: true })

const scriptProgram = fc.record({
  kind: fc.constant('script' as const),
  input,
  steps: fc.array(step, { minLength: 2, maxLength: 7 }),
})
export const bareProgram = fc.record({
  kind: fc.constant('bare' as const),
  input,
  steps: fc.array(call, { minLength: 1, maxLength: 4 }),
})

export const program: fc.Arbitrary<Program> = fc.oneof(
  { weight: 4, arbitrary: scriptProgram },
  { weight: 1, arbitrary: bareProgram },
)

/** Changes one of the objects in a value, in place. */
export function apply({ at, how }: Change, value: unknown): void {
  const found = [...objectsIn(value)]
  if (found.length === 0) return
  const node = found[at % found.length] as Record<string, unknown> | unknown[]
  if (Array.isArray(node)) {
    if (how === 'drop') node.shift()
    else node.push(at)
  } else if (how === 'add') node[`k${at % 3}`] = at
  else if (how === 'drop') delete node[Object.keys(node)[0] ?? '']
  else node.total = (typeof node.total === 'number' ? node.total : 100) + 5
}

function objectsIn(value: unknown, seen = new Set<object>()): Set<object> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return seen
  seen.add(value)
  for (const child of Object.values(value)) objectsIn(child, seen)
  return seen
}

/** Counts in an object that branches share: in whatever order they do so, it comes to the same. */
export function count(value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return
  const shared = value as { count?: unknown }
  shared.count = (typeof shared.count === 'number' ? shared.count : 0) + 1
}

export const put = (of: unknown, into: unknown): void => {
  if (typeof into !== 'object' || into === null) return
  if (Array.isArray(into)) into.push(of)
  else Object.assign(into, { link: of })
}

export const pick = <T>(values: readonly T[], n: number): T => values[n % values.length]!

/** What a script must return, and the data of what it emits, each as its text. */
export interface Expected {
  readonly output: string
  readonly emits: readonly string[]
}

export async function expected({ input, steps }: Extract<Program, { kind: 'script' }>): Promise<Expected> {
  const given = cross({ steps: JSON.stringify(steps), value: input })
  const values: unknown[] = [given.value, cross({ input: given })]
  const emits: string[] = []
  /** What comes when the answer is there. */
  const ask = ({ tool, of, change }: Call): (() => Promise<unknown>) => {
    let asked: { input: unknown }
    try {
      asked = cross({ input: pick(values, of) })
    } catch {
      return async () => ({ error: 'E_VALUE_INVALID' })
    }
    emits.push(JSON.stringify(asked))
    apply(change, pick(values, of))
    return async () => {
      try {
        return cross({ output: await tools[tool](asked.input) }).output
      } catch {
        return { error: 'E_TOOL_OUTPUT' }
      }
    }
  }
  for (const step of steps)
    if (step.do === 'call') values.push(await ask(step)())
    else if (step.do === 'change') apply(step.change, pick(values, step.of))
    else if (step.do === 'link') put(pick(values, step.of), pick(values, step.to))
    else if (step.do === 'emit') {
      try {
        emits.push(JSON.stringify(cross({ said: pick(values, step.of) })))
      } catch {
        values.push({ error: 'E_VALUE_INVALID' })
      }
      apply(step.change, pick(values, step.of))
    } else if (step.do === 'all') {
      const answers = step.calls.map(ask)
      const outputs: unknown[] = []
      for (const [i, answer] of answers.entries()) {
        const output = await answer()
        apply(step.calls[i]!.change, output)
        count(values[0])
        outputs.push(output)
      }
      values.push(...outputs)
    }
  try {
    return { output: JSON.stringify(cross({ values }).values), emits }
  } catch {
    return { output: 'E_VALUE_INVALID', emits }
  }
}

/** Not by the function that is tested, but for what it refuses. */
function cross<T>(value: T): T {
  jsonOf(value, 'it')
  return plainRedactor.value(JSON.parse(JSON.stringify(value)) as T)
}
