import type { Client, RequestOptions } from '@modelcontextprotocol/client'
import { TidingsError } from '../../errors.ts'
import { partsOf, resourcePart } from './tool-output.ts'
import type { McpToolSource } from './mcp.ts'

type Reading = Extract<McpToolSource, { method: unknown }>['method']
type StoreFile = Parameters<typeof partsOf>[1]

interface ReadingInput {
  readonly cursor?: string
  readonly uri?: string
  readonly name?: string
  readonly arguments?: Record<string, string>
}

/** Reads resources and prompts of a server, as values for the log. */
export async function readFrom(
  client: Client,
  method: Reading,
  { input, store, options }: { input: unknown; store: StoreFile; options: RequestOptions },
): Promise<unknown> {
  const { cursor, uri = '', name = '', arguments: given } = (input ?? {}) as ReadingInput
  const page = cursor === undefined ? {} : { cursor }
  switch (method) {
    case 'resources/list': {
      const { resources, nextCursor } = await client.request({ method, params: page }, options)
      const listed = resources.map(({ uri, name, description, mimeType }) => ({ uri, name, description, mimeType }))
      return { resources: listed, nextCursor }
    }
    case 'resources/read': {
      const { contents } = await client.readResource({ uri }, { ...options, cacheMode: 'bypass' })
      return oneOrAll(await Promise.all(contents.slice(0, 100).map(each => resourcePart(each, store))))
    }
    case 'prompts/list': {
      const { prompts, nextCursor } = await client.request({ method, params: page }, options)
      return { prompts: prompts.map(({ name, description, arguments: takes }) => ({ name, description, takes })), nextCursor } // biome-ignore format: one value
    }
    case 'prompts/get': {
      const prompt = await client.getPrompt({ name, ...(given && { arguments: given }) }, options)
      const messages = prompt.messages.slice(0, 100)
      return Promise.all(
        messages.map(async ({ role, content }) => ({ role, content: await partsOf([content], store) })),
      )
    }
    default:
      throw new TidingsError('E_TOOL_INPUT', `a server has nothing called "${String(method satisfies never)}"`)
  }
}

/** A single text stays a text. */
const oneOrAll = (parts: readonly Awaited<ReturnType<typeof resourcePart>>[]) =>
  parts.length === 1 && parts[0]!.type === 'text' ? parts[0]!.text : parts
