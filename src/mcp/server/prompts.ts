import type { ServerContext } from '@modelcontextprotocol/server'
import { isMessagePart } from '../../tasks/conversation.ts'
import { mayCall } from './caller.ts'
import type { PublishedPrompt } from './catalog.ts'
import { choicesFor } from './completion.ts'
import { pageOf } from './page.ts'
import type { Publishing } from './mcp-server.ts'
import { ProgramCall } from './program-call.ts'
import { failedTask, invalidRequest, stillRunning } from './protocol-errors.ts'
import { contentsOf, isContent, type Content } from './results.ts'

interface Message {
  readonly role: 'user' | 'assistant'
  readonly content: Content
}

/** `prompts/list` and `prompts/get`. A prompt is made by a task, which may ask the person for more. */
export class Prompts {
  readonly #publishing: Publishing

  constructor(publishing: Publishing) {
    this.#publishing = publishing
  }

  readonly list = async ({ cursor }: { readonly cursor?: string | undefined }) => {
    const { deps, scope } = this.#publishing
    const { items, ...next } = pageOf(mayCall(scope.caller) ? await deps.catalog.prompts() : [], cursor)
    return { prompts: items.map(listed), ...next }
  }

  readonly get = async (
    {
      name,
      arguments: given = {},
    }: { readonly name: string; readonly arguments?: Record<string, unknown> | undefined },
    ctx: ServerContext,
  ): Promise<Record<string, unknown>> => {
    const { deps } = this.#publishing
    const { program, description, input } = await deps.catalog.findPrompt(name)
    const missing = choicesFor(input).filter(({ name: field, isRequired }) => isRequired && given[field] === undefined)
    if (missing.length > 0)
      throw invalidRequest(`the prompt "${name}" needs ${missing.map(each => `"${each.name}"`).join(', ')}`)
    const call = new ProgramCall({
      ...this.#publishing,
      ctx,
      outcome: {
        resultOf: async output => ({ description, messages: await this.#messagesOf(output) }),
        failureOf: failedTask,
      },
    })
    const waited = await call.run(program, given)
    if (waited.kind === 'running') throw stillRunning(waited.task)
    return waited.result
  }

  async #messagesOf(output: unknown): Promise<Message[]> {
    const all = Array.isArray(output) && output.every(isMessage) ? output : [{ role: 'user' as const, content: output }]
    const messages = await Promise.all(
      all.map(async ({ role, content }) => (await this.#contents(content)).map(each => ({ role, content: each }))),
    )
    return messages.flat()
  }

  async #contents(content: unknown): Promise<Content[]> {
    const { deps, scope } = this.#publishing
    if (Array.isArray(content) && content.every(isMessagePart))
      return contentsOf(deps.bus, scope.caller.tenant, content)
    if (isContent(content)) return [content]
    return [{ type: 'text', text: typeof content === 'string' ? content : JSON.stringify(content ?? null) }]
  }
}

const listed = ({ name, title, description, input }: PublishedPrompt) => ({
  name,
  ...(title !== undefined && { title }),
  description,
  arguments: choicesFor(input).map(({ name: field, description: about, isRequired }) => ({
    name: field,
    ...(about !== undefined && { description: about }),
    required: isRequired,
  })),
})

const isMessage = (value: unknown): value is { readonly role: 'user' | 'assistant'; readonly content: unknown } => {
  const { role } = (value ?? {}) as { role?: unknown }
  return role === 'user' || role === 'assistant'
}
