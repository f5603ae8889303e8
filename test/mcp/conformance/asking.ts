import { z } from 'zod'
import { agent, approval } from '../../../src/index.ts'

/* Agents that ask the person at the client, by the names that the conformance suite gives them. */

const named = z.object({ name: z.string() })
const nothing = z.object({})
const ask = (name: string, form: z.ZodType) => approval<string>(name, { form })
const userName = ask('user_name', named)
const text = (said: string) => ({ content: [{ type: 'text', text: said }] })

/** An agent that asks one form, and says what came of it. */
const asks = (name: string, question: string, form: ReturnType<typeof ask>, said: (content: unknown) => string) =>
  agent(name, {
    description: `Asks: ${question}`,
    input: nothing,
    run: async ctx => text(said((await ctx.call(form, question)).content)),
  })

const told = (content: unknown) => `Elicitation completed: action=accept, content=${JSON.stringify(content)}`
const greeted = (content: unknown) => `Hello, ${(content as { name: string }).name}!`

const defaults = z.object({
  name: z.string().default('John Doe'),
  age: z.int().default(30),
  score: z.number().default(95.5),
  status: z.enum(['active', 'inactive', 'pending']).default('active'),
  verified: z.boolean().default(true),
})

const options = ['option1', 'option2', 'option3']
const titled = ['First', 'Second', 'Third'].map((title, i) => ({ const: `value${i + 1}`, title: `${title} Option` }))
/** Choices that zod has no word for. */
const choices = z.object({}).meta({
  properties: {
    untitledSingle: { type: 'string', enum: options },
    titledSingle: { type: 'string', oneOf: titled },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
    titledMulti: { type: 'array', items: { anyOf: titled } },
  },
}) // biome-ignore format: a schema

const confirm = ask('confirm', z.object({ ok: z.boolean() }))
const elicited = ask('profile', z.object({ username: z.string(), email: z.string() }))
const [step1, step2] = [ask('step1', named), ask('step2', z.object({ color: z.string() }))]
const sure = ask('sure', z.object({ confirm: z.boolean() }))
const both = ['first', 'second'].map(name => ask(name, z.looseObject({ confirm: z.boolean() })))

export const asking = [
  agent('test_elicitation', {
    description: 'Asks what it is told to.',
    input: z.object({ message: z.string() }),
    run: async (ctx, { message }) => text(`User response: ${JSON.stringify(await ctx.call(elicited, message))}`),
  }),
  asks('test_elicitation_sep1034_defaults', 'Who are you?', ask('defaults', defaults), told),
  asks('test_elicitation_sep1330_enums', 'What do you choose?', ask('choices', choices), told),
  asks('test_input_required_result_elicitation', 'What is your name?', userName, greeted),
  asks('test_streaming_elicitation', 'What is your name?', userName, greeted),
  asks('test_input_required_result_request_state', 'Please confirm', confirm, () => 'state-ok'),
  asks('test_input_required_result_tampered_state', 'Please confirm', confirm, () => 'state-ok'),
  agent('test_input_required_result_multi_round', {
    description: 'Asks twice.',
    input: nothing,
    async run(ctx) {
      const { content: name } = await ctx.call(step1, 'Step 1: What is your name?')
      const { content: color } = await ctx.call(step2, 'Step 2: What is your favorite color?')
      return text(JSON.stringify({ name, color }))
    },
  }),
  // What takes longer than a second is a task, and its forms are those of the task.
  agent('confirm_delete', {
    description: 'Asks after a while.',
    input: z.object({ filename: z.string() }),
    async run(ctx, { filename }) {
      await ctx.sleep('1500ms')
      return text(`${filename}: ${JSON.stringify(await ctx.call(sure, `Delete ${filename}?`))}`)
    },
  }),
  agent('multi_input', {
    description: 'Asks two things at once, after a while.',
    input: nothing,
    async run(ctx) {
      await ctx.sleep('1500ms')
      return text(JSON.stringify(await Promise.all(both.map(form => ctx.call(form, 'And this?')))))
    },
  }),
  agent('test_tool_with_task', {
    description: 'Asks at once, and then takes a while.',
    input: nothing,
    async run(ctx) {
      const { content } = await ctx.call(userName, 'What is your name?')
      await ctx.sleep('1500ms')
      return text(greeted(content))
    },
  }),
]
