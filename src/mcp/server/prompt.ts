import { aFunction, aSchema, aText, checkOptions, type Check } from '../../options.ts'
import { assertName } from '../../pattern.ts'
import type { Schema } from '../../schema.ts'
import type { MessagePart } from '../../tasks/conversation.ts'
import type { ScriptContext } from '../../tasks/script-context.ts'

/** A message of a prompt. `content`: a text, parts with files, or the contents of MCP. */
export interface PromptMessage {
  readonly role: 'user' | 'assistant'
  readonly content: string | readonly MessagePart[] | Readonly<Record<string, unknown>>
}

/** What a prompt is made of, and what it takes. */
export interface PromptOptions<Input> {
  /** For people. Default: the name. */
  title?: string
  description: string
  /** Schema of an object whose fields are texts. Clients complete the values of an enum. Default: it takes nothing. */
  input?: Schema<Input>
  /** Makes the messages: a text is one message of the user. It is straight-line code of an agent, which may call tools and ask for approvals. */
  run(ctx: ScriptContext, input: Input): string | readonly PromptMessage[] | Promise<string | readonly PromptMessage[]>
}

/** What `prompt()` returns. Pass it to the `mcp` of an app. */
export interface Prompt {
  readonly kind: 'prompt'
  readonly name: string
  readonly options: PromptOptions<never>
}

const checks = {
  title: aText,
  description: aText,
  input: aSchema,
  run: aFunction,
} satisfies Record<keyof PromptOptions<never>, Check>

/**
 * Declares a prompt that people choose in an MCP client, such as by a slash command. Each use is a task.
 * @throws E_APP_INVALID
 * @example
 * const essay = prompt('essay', {
 *   description: 'Begins an essay with what the shop knows.',
 *   input: z.object({ topic: z.string() }),
 *   run: async (ctx, { topic }) => `Write about ${topic}, from:\n${(await ctx.call(search, { query: topic })).join('\n')}`,
 * })
 * export default app({ use: [search], mcp: [essay] })
 */
export function prompt<Input = Record<string, never>>(name: string, options: PromptOptions<Input>): Prompt {
  assertName(name, 'the name of a prompt')
  checkOptions(`prompt "${name}"`, options, checks, ['description', 'run'])
  return { kind: 'prompt', name, options: options as unknown as PromptOptions<never> }
}
