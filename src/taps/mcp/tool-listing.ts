import { mcpToolHash } from '../../tasks/mcp-tool-hash.ts'
import { isObject, objectIn } from '../json-read.ts'

export const toolListedType = 'tool.listed'

/** A tool as its server described it. */
export interface ObservedTool {
  readonly name: string
  /** Of everything that the server says about it, as in `mcp.lock.json`: the first 32 hex digits of SHA-256 over its canonical JSON. */
  readonly hash: string
  /** Such as `readOnlyHint`. Nothing proves them. */
  readonly annotations?: Readonly<Record<string, unknown>>
}

/** Data of `tool.listed`. */
export interface ToolListing {
  /** What the server calls itself. */
  readonly server?: { readonly name: string; readonly version?: string }
  /** Sorted by name. */
  readonly tools: readonly ObservedTool[]
}

/** A server can send pages without end, and a client requests without waiting. */
const maxTools = 5_000
const maxRequests = 1_000
const serverInfoKey = 'io.modelcontextprotocol/serverInfo'

/** Puts the pages of `tools/list` together. */
export class ToolListingReader {
  readonly #onListing: (listing: ToolListing) => void
  /** The requests that are not answered yet: the cursor of a page, undefined for the first one; null for a greeting. */
  readonly #requests = new Map<string, unknown>()
  #tools = new Map<string, ObservedTool>()
  #nextCursor: unknown
  #server: ToolListing['server']

  constructor(onListing: (listing: ToolListing) => void) {
    this.#onListing = onListing
  }

  /** A page is asked for; `key` stands for the request. */
  requested(key: string, cursor: unknown): void {
    this.#requests.delete(key)
    this.#requests.set(key, cursor)
    if (this.#requests.size > maxRequests) this.#requests.delete(this.#requests.keys().next().value!)
  }

  /** `initialize` or `server/discover` was sent. */
  greeted(key: string): void {
    this.requested(key, null)
  }

  answered(key: string, answer: unknown): void {
    if (!this.#requests.has(key)) return
    const cursor = this.#requests.get(key)
    this.#requests.delete(key)
    const result = objectIn(answer)
    this.#server = serverOf(result.serverInfo ?? objectIn(result._meta)[serverInfoKey]) ?? this.#server
    if (cursor === null || !Array.isArray(result.tools)) return
    if (cursor === undefined) this.#tools = new Map()
    // A page of another listing, or one that two clients ask for at the same time.
    else if (cursor !== this.#nextCursor) return
    for (const tool of result.tools.flatMap(observedTool))
      if (this.#tools.size < maxTools) this.#tools.set(tool.name, tool)
    this.#nextCursor = result.nextCursor
    if (typeof result.nextCursor === 'string') return
    const tools = [...this.#tools.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
    this.#onListing({ ...(this.#server && { server: this.#server }), tools })
  }
}

function observedTool(stated: unknown): ObservedTool[] {
  const tool = objectIn(stated)
  const { name, annotations } = tool
  if (typeof name !== 'string') return []
  return [{ name, hash: mcpToolHash({ ...tool, name }), ...(isObject(annotations) && { annotations }) }]
}

function serverOf(info: unknown): ToolListing['server'] {
  const { name, version } = objectIn(info)
  if (typeof name !== 'string') return undefined
  return { name, ...(typeof version === 'string' && { version }) }
}
