import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import type { CallError } from '../../src/tasks/script.ts'
import type { ScriptContext } from '../../src/tasks/script-context.ts'
import { tool } from '../../src/tools/tool.ts'
import { apply, count, pick, put, type Call, type Step } from './language.ts'
import { tools, type ToolName } from './tools.ts'

/* The agents that run the programs of `language.ts`, and those that hear what they emit. */

interface Given {
  /** As text, which nobody can change. */
  steps: string
  value: unknown
}

const hosted = Object.fromEntries(
  Object.entries(tools).map(([name, run]) => [
    name,
    tool(`value.${name}`, { description: name, input: z.unknown(), run }),
  ]),
) as Record<ToolName, ReturnType<typeof tool<unknown, unknown>>>

const script = agent('script', {
  async run(ctx, given: Given) {
    const steps = JSON.parse(given.steps) as Step[]
    const values: unknown[] = [given.value, ctx.event.data]
    for (const step of steps)
      if (step.do === 'call') values.push(await ask(ctx, step, values))
      else if (step.do === 'change') apply(step.change, pick(values, step.of))
      else if (step.do === 'link') put(pick(values, step.of), pick(values, step.to))
      else if (step.do === 'emit') {
        try {
          ctx.emit({ type: 'value.said', data: { said: pick(values, step.of) } })
        } catch (error) {
          values.push(codeOf(error))
        }
        apply(step.change, pick(values, step.of))
      } else if (step.do === 'sleep') await ctx.sleep(1)
      else {
        const seen = [...values]
        const branches = step.calls.map(call => async (branch: ScriptContext) => {
          const output = await ask(branch, call, seen)
          apply(call.change, output)
          count(values[0])
          return output
        })
        values.push(...(await ctx.all(branches)))
      }
    return values
  },
})

async function ask(ctx: ScriptContext, { tool, of, change }: Call, values: readonly unknown[]): Promise<unknown> {
  try {
    const answer = ctx.call(hosted[tool], pick(values, of))
    apply(change, pick(values, of))
    return await answer
  } catch (error) {
    return codeOf(error)
  }
}

const codeOf = (error: unknown) => ({ error: (error as CallError).code })

interface State {
  steps: string
  values: unknown[]
  asked: number
  /** What was kept of it before is changed with it, as long as both are one object. */
  last?: unknown
  at?: unknown
  /** What `at` was, each time. */
  kinds: string[]
}

/** The same in three functions, each of which changes all that it is given. */
export const bare = agent<State>('bare', {
  init({ data }) {
    const { steps, value } = (data as { input: Given }).input
    const state: State = { steps, values: [value, data], asked: 0, kinds: [] }
    apply({ at: 1, how: 'raise' }, value)
    return state
  },
  evolve(state, { type, data }) {
    apply({ at: 1, how: 'raise' }, state.last)
    state.last = data
    state.kinds.push(typeof state.at)
    state.at = new Date(0)
    if (type === 'tool.invoke') state.asked++
    else if (type === 'tool.result') state.values.push((data as { output: unknown }).output)
    else if (type === 'tool.failed') state.values.push((data as { error: { code: string } }).error.code)
    apply({ at: 1, how: 'raise' }, data)
    return state
  },
  decide(state, inputs, ctx) {
    const step = (JSON.parse(state.steps) as Call[])[state.asked]
    if (!step) return ctx.complete(state.values)
    const input = pick(state.values, step.of)
    ctx.call({ type: 'tool.invoke', target: `value.${step.tool}`, data: { input } })
    for (const each of [input, state, ctx.start, ...inputs]) apply(step.change, each)
    ctx.emit({ type: 'value.said', data: { said: input } })
    state.values.length = 0
  },
})

/** Two that hear one event: each tells what it got, and changes it. */
const ears = ['ear.one', 'ear.two'].map(name =>
  agent(name, {
    on: 'value.said',
    run(ctx, input: unknown) {
      const heard = JSON.stringify(input)
      apply({ at: 0, how: 'add' }, input)
      apply({ at: 0, how: 'add' }, ctx.event.data)
      return heard
    },
  }),
)

export const programs = [script, bare, ...ears].map(({ definition }) => definition)
export const hostedTools = Object.values(hosted)
