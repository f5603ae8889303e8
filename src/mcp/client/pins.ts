import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TidingsError } from '../../errors.ts'
import { invalidAt } from '../../options.ts'
import type { JsonSchema } from '../../schema.ts'
import { mcpToolHash } from '../../tasks/mcp-tool-hash.ts'

/*
 * What an app knows of a server is in a file that people review, `mcp.lock.json`: the descriptions and schemas that models read. So every
 * process knows the tools without a connection, a recorded task is replayed with the same tools, and a server cannot change what a model reads.
 */

/** What a server says about a tool, as far as models and policies depend on it. */
export interface PinnedTool {
  readonly description: string
  readonly input: JsonSchema
  readonly output?: JsonSchema
  readonly annotations?: ToolHints
  /** In the protocol of 2025-11-25: whether a call may, or must, become a task. */
  readonly taskSupport?: 'optional' | 'required'
  /** Of everything that the server says about the tool. The fields above may be edited, this may not. */
  readonly hash: string
}

/** What a server claims about a tool. Nothing proves it. */
export interface ToolHints {
  readonly readOnlyHint?: boolean
  readonly destructiveHint?: boolean
  readonly idempotentHint?: boolean
  readonly openWorldHint?: boolean
}

/** The pinned part of a server. */
export interface PinnedServer {
  /** How the server calls itself, for the reviewer. */
  readonly server?: string
  readonly hasResources?: true
  readonly hasPrompts?: true
  readonly tools: Readonly<Record<string, PinnedTool>>
}

interface PinFile {
  readonly servers: Readonly<Record<string, PinnedServer>>
}

/** A tool as a server lists it. */
export interface ListedTool {
  readonly name: string
  readonly title?: string | undefined
  readonly description?: string | undefined
  readonly inputSchema: JsonSchema
  readonly outputSchema?: JsonSchema | undefined
  readonly annotations?: (ToolHints & { readonly title?: string | undefined }) | undefined
  readonly execution?: { readonly taskSupport?: string | undefined } | undefined
}

const defaultPinFile = 'mcp.lock.json'

export const pinPath = (pins: string | URL = defaultPinFile) => (typeof pins === 'string' ? pins : fileURLToPath(pins))

/** The pins of a server; undefined if it has none. @throws E_APP_INVALID if the file is not one of pins */
export function readPins(path: string, server: string): PinnedServer | undefined {
  const pinned = readFile(path).servers[server]
  return pinned && typeof pinned.tools === 'object' ? pinned : undefined
}

/** Replaces the pins of a server. */
export function writePins(path: string, server: string, pinned: PinnedServer): void {
  const { servers } = readFile(path)
  const sorted = Object.fromEntries(
    Object.entries({ ...servers, [server]: pinned }).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
  writeFileSync(path, `${JSON.stringify({ servers: sorted }, undefined, 2)}\n`)
}

function readFile(path: string): PinFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { servers: {} }
    throw error
  }
  try {
    const file = JSON.parse(text) as Partial<PinFile> | null
    if (typeof file?.servers === 'object') return file as PinFile
  } catch {
    // Reported below.
  }
  throw invalidAt(path, 'it is not a file of pinned MCP tools: restore it, or remove it and run `tidings pin`')
}

/** What is pinned of a tool. Characters that a reviewer cannot see are removed from its description. */
export function pinOf(tool: ListedTool): PinnedTool {
  const { description = '', inputSchema, outputSchema, annotations, execution } = tool
  const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations ?? {}
  const hints = { readOnlyHint, destructiveHint, idempotentHint, openWorldHint }
  const given = Object.entries(hints).filter(([, hint]) => hint !== undefined)
  const taskSupport = execution?.taskSupport
  return {
    description: description.replace(invisible, ''),
    input: inputSchema,
    ...(outputSchema && { output: outputSchema }),
    ...(given.length > 0 && { annotations: Object.fromEntries(given) }),
    ...((taskSupport === 'optional' || taskSupport === 'required') && { taskSupport }),
    hash: mcpToolHash(tool),
  }
}

// Tag characters, zero-width characters and marks of direction, in which instructions were hidden.
const invisible = /[\u{E0000}-\u{E007F}\u200B-\u200F\u202A-\u202E\u2060-\u2064\u2066-\u2069\uFEFF\u00AD]/gu

/** How the tools of a server differ from the pinned ones, by their names on the server. */
export interface PinDifference {
  readonly changed: readonly string[]
  readonly missing: readonly string[]
  /** Listed, but not pinned: the app does not have them. */
  readonly added: readonly string[]
}

export function differenceFromPins(pinned: PinnedServer, listed: readonly ListedTool[]): PinDifference {
  const hashes = new Map(listed.map(tool => [tool.name, mcpToolHash(tool)]))
  const names = Object.keys(pinned.tools)
  return {
    changed: names.filter(name => hashes.has(name) && hashes.get(name) !== pinned.tools[name]!.hash),
    missing: names.filter(name => !hashes.has(name)),
    added: [...hashes.keys()].filter(name => !Object.hasOwn(pinned.tools, name)),
  }
}

// Seen by every copy of the package in this process: the command line may load an app that has its own.
const pinningKey = Symbol.for('tidings.pinning')

/** From now on `mcp()` ignores the pins, so that an app can be loaded whose pins are to be written. */
export const beginPinning = () => void Object.assign(globalThis, { [pinningKey]: true })

/** The pins of a server; undefined while pins are written. @throws E_MCP_UNPINNED if there are none, E_APP_INVALID */
export function pinsOf(path: string, server: string): PinnedServer | undefined {
  if (pinningKey in globalThis) return undefined
  const pinned = readPins(path, server)
  if (pinned) return pinned
  throw new TidingsError('E_MCP_UNPINNED', `the tools of the MCP server "${server}" are not in the file "${path}"`)
}
