import type { ServerContext } from '@modelcontextprotocol/server'
import { isMessagePart, type MessagePart } from '../../tasks/conversation.ts'
import { assertCallerMay, mayCall } from './caller.ts'
import type { PublishedResource } from './catalog.ts'
import type { Publishing } from './mcp-server.ts'
import { pageOf } from './page.ts'
import { ProgramCall } from './program-call.ts'
import { failedTask, noResource, stillRunning } from './protocol-errors.ts'
import { maxFileBytes } from './results.ts'
import { templateVariables } from './uri-template.ts'

interface ResourceContent {
  readonly uri: string
  readonly mimeType?: string
  readonly text?: string
  readonly blob?: string
}

/** Blobs that a result names, also those that are too large to be part of it. */
const blobScheme = 'blob:'

/** `resources/list`, `resources/templates/list` and `resources/read`. A task reads a resource of an app. */
export class Resources {
  readonly #publishing: Publishing

  constructor(publishing: Publishing) {
    this.#publishing = publishing
  }

  readonly list = async ({ cursor }: { readonly cursor?: string | undefined }) => {
    const all = await this.#published()
    const { items, ...next } = pageOf(all.filter(({ uri }) => templateVariables(uri).length === 0), cursor) // biome-ignore format: one line
    return { resources: items.map(each => ({ uri: each.uri, ...listed(each) })), ...next }
  }

  readonly listTemplates = async ({ cursor }: { readonly cursor?: string | undefined }) => {
    const all = await this.#published()
    const { items, ...next } = pageOf(all.filter(({ uri }) => templateVariables(uri).length > 0), cursor) // biome-ignore format: one line
    return { resourceTemplates: items.map(each => ({ uriTemplate: each.uri, ...listed(each) })), ...next }
  }

  readonly read = async ({ uri }: { readonly uri: string }, ctx: ServerContext): Promise<Record<string, unknown>> => {
    const { deps, scope } = this.#publishing
    assertCallerMay(scope.caller, 'read', 'agent.invoke')
    if (uri.startsWith(blobScheme)) return { contents: [await this.#blob(uri)] }
    const found = await deps.catalog.resourceAt(uri)
    if (!found) throw noResource(uri)
    const { resource, variables } = found
    const outcome = {
      resultOf: async (output: unknown) => ({ contents: await this.#contentsOf(output, uri, resource) }),
      failureOf: failedTask,
    }
    const waited = await new ProgramCall({ ...this.#publishing, ctx, outcome }).run(resource.program, variables)
    if (waited.kind === 'running') throw stillRunning(waited.task)
    return waited.result
  }

  async #published(): Promise<readonly PublishedResource[]> {
    const { deps, scope } = this.#publishing
    return mayCall(scope.caller) ? deps.catalog.resources() : []
  }

  async #contentsOf(output: unknown, uri: string, { mediaType }: PublishedResource): Promise<ResourceContent[]> {
    if (output === undefined || output === null) throw noResource(uri)
    if (typeof output === 'string') return [{ uri, mimeType: mediaType ?? 'text/plain', text: output }]
    const { contents } = output as { contents?: unknown }
    if (Array.isArray(contents) && contents.length > 0 && contents.every(isResourceContent)) return contents
    const parts = Array.isArray(output) ? output : [output]
    if (parts.length > 0 && parts.every(isMessagePart)) return Promise.all(parts.map(part => this.#partAt(uri, part)))
    return [{ uri, mimeType: mediaType ?? 'application/json', text: JSON.stringify(output) }]
  }

  async #partAt(uri: string, part: MessagePart): Promise<ResourceContent> {
    if (part.type === 'text') return { uri, mimeType: 'text/plain', text: part.text }
    if ('url' in part) return { uri, mimeType: 'text/uri-list', text: part.url }
    return { ...(await this.#blob(`${blobScheme}${part.blob}`)), uri, mimeType: part.mediaType }
  }

  /** A blob of the tenant. Its reference is a digest of what it contains. */
  async #blob(uri: string): Promise<ResourceContent> {
    const { deps, scope } = this.#publishing
    const bytes = await deps.bus.findBlob(scope.caller.tenant, uri.slice(blobScheme.length))
    if (!bytes || bytes.length > maxFileBytes) throw noResource(uri)
    return { uri, mimeType: 'application/octet-stream', blob: Buffer.from(bytes).toString('base64') }
  }
}

const listed = ({ name, title, description, mediaType }: PublishedResource) => ({
  name,
  ...(title !== undefined && { title }),
  ...(description !== undefined && { description }),
  ...(mediaType !== undefined && { mimeType: mediaType }),
})

function isResourceContent(value: unknown): value is ResourceContent {
  const { uri, text, blob } = (value ?? {}) as Record<string, unknown>
  return typeof uri === 'string' && (typeof text === 'string' || typeof blob === 'string')
}
