import { aList, anObject, aText, aCount, aDuration, aFlag, checkOptions, describeValue, invalidAt, must, optionsOf, type Check } from '../../options.ts' // biome-ignore format: checks
import type { JsonSchema, Schema } from '../../schema.ts'
import { didYouMean } from '../../suggest.ts'
import { checkedApprovers } from '../../tasks/approval.ts'
import type { Duration } from '../../tasks/duration.ts'
import { aRetry, type RetryOptions } from '../../tasks/retry.ts'
import type { Callable } from '../../tasks/script-context.ts'
import { TidingsError } from '../../errors.ts'
import { anAuth } from './auth.ts'
import type { McpAddress } from './connect.ts'
import { pinPath, pinsOf, type PinnedServer, type PinnedTool } from './pins.ts'
import { durableNames } from './tool-names.ts'

/** How the calls of one tool of a server are limited, retried and approved. What is left out follows from what the server says about the tool. */
export interface McpToolOptions {
  /** Maximum number of runs at once, over all workers of the log. */
  readonly limit?: number
  /** Maximum number of starts per duration in each process. */
  readonly rate?: { readonly count: number; readonly per: Duration }
  /** Maximum time of one run, without time in queues. Default one hour. */
  readonly timeout?: Duration
  /** How to retry after an error or timeout, if the tool is not `atMostOnce`. Default: no retry. */
  readonly retry?: RetryOptions
  /** Never starts twice. Default: unless the server says that the tool is read-only or idempotent. */
  readonly atMostOnce?: boolean
  /** A person must approve each call, or those for whose input the function returns `true`. */
  readonly approval?: true | ((input: unknown) => boolean)
  /** Names of those who may answer. Default: everyone with an identity. */
  readonly approvers?: readonly string[]
  /** Has no effects, so redrives and forks may run it by default. Default: as the server says. */
  readonly readOnly?: boolean
}

/** Which tools of a server an app has, and how they are called. */
export interface McpToolChoice {
  /** Only these tools, by their names on the server. Default: all. */
  readonly include?: readonly string[]
  /** All but these. */
  readonly exclude?: readonly string[]
  /** Options of single tools, by their names on the server; `*` stands for all that have none of their own. */
  readonly tools?: Readonly<Record<string, McpToolOptions>>
  /** The file with the descriptions and schemas that were reviewed. Default `mcp.lock.json` in the working folder. `tidings pin` writes it. */
  readonly pins?: string | URL
  /**
   * Its tools may ask a person for fields while they run, as requests for approval with a form. Default: such calls fail with E_MCP_INPUT. In the
   * protocol of 2025 a server does not say which call asks: then only one call runs at a time for which it may.
   */
  readonly elicitation?: true
}

/** Where a server is, and which of its tools an app has. */
export type McpOptions = McpAddress & McpToolChoice

/** A tool of a server. Pass it to the `tools` of an agent, and to `ctx.call`. */
export interface McpTool extends Callable<Readonly<Record<string, unknown>>, unknown> {
  readonly kind: 'tool'
  readonly options: McpToolOptions & {
    readonly description: string
    readonly input: Schema
    readonly output?: Schema
    run(input: unknown): Promise<never>
  }
  /** What it is on its server. */
  readonly mcp: McpToolSource
}

/** What a tool of an app is on its server, which it names. */
export type McpToolSource = { readonly server: string } & (
  | { readonly tool: string; readonly pinned: PinnedTool | undefined }
  | { readonly method: 'resources/list' | 'resources/read' | 'prompts/list' | 'prompts/get' }
)

/** What `mcp()` returns. Pass it to `use` of the app whose workers connect to the server. */
export interface McpServer {
  readonly kind: 'mcp'
  readonly name: string
  readonly address: McpAddress
  /** Whether its tools may ask a person. */
  readonly elicitation: boolean
  /** Its pinned tools, for the `tools` of an agent. */
  readonly tools: readonly McpTool[]
  /** Tools that read its resources, such as files. Each returns one page, or the parts of one resource. */
  readonly resources: { readonly list: McpTool; readonly read: McpTool }
  /** Tools that read its prompts. */
  readonly prompts: { readonly list: McpTool; readonly get: McpTool }
  /** The file of the pins, and what it says about this server. `tidings pin` ignores what it says. */
  readonly pins: { readonly path: string; readonly pinned: PinnedServer | undefined }
  /**
   * One of its tools, by its name on the server.
   * @throws E_APP_INVALID if the server has pins, but not of this tool
   */
  tool(name: string): McpTool
}

const defaultTimeout = '1h'

const toolChecks = {
  limit: aCount,
  rate: optionsOf({ count: aCount, per: aDuration }),
  timeout: aDuration,
  retry: aRetry,
  atMostOnce: aFlag,
  approval: must('true or a function', value => value === true || typeof value === 'function'),
  approvers: aList,
  readOnly: aFlag,
} satisfies Record<keyof McpToolOptions, Check>

const eachTool: Check = value => {
  const problem = anObject(value)
  if (problem !== undefined) return problem
  for (const [name, options] of Object.entries(value as object)) {
    const found = optionsOf(toolChecks)(options)
    if (found !== undefined) return `of "${name}" ${found}`
  }
  return undefined
}

const checks = {
  command: must('a list of texts', value => Array.isArray(value) && value.length > 0 && value.every(each => typeof each === 'string')), // biome-ignore format: one check
  env: anObject,
  cwd: aText,
  url: must('an http or https address', isHttp),
  auth: anAuth,
  headers: anObject,
  include: aList,
  exclude: aList,
  tools: eachTool,
  elicitation: must('true', value => value === true),
  pins: must('a path or a file URL', value => typeof value === 'string' || value instanceof URL),
} satisfies Record<string, Check>

const serverName = /^[a-z][a-z0-9_-]{0,31}$/

/**
 * Declares an MCP server, whose tools become tools of the app: `search` of `github` is the durable tool `github.search`. Its calls have the
 * queue, retries, limits, approvals, redaction and replay of other tools. What models read of them is pinned in a file: see `tidings pin`.
 *
 * @example
 * const github = mcp('github', {
 *   command: ['npx', '-y', '@modelcontextprotocol/server-github'],
 *   env: { GITHUB_PERSONAL_ACCESS_TOKEN: process.env.GITHUB_TOKEN },
 *   include: ['search_issues', 'create_issue'],
 *   tools: { create_issue: { approval: true } },
 * })
 * const helper = agent('helper', { model, instructions: '…', tools: github.tools })
 * export default app({ use: [helper, github] })
 * @throws E_MCP_UNPINNED, E_APP_INVALID
 */
export function mcp(name: string, options: McpOptions): McpServer {
  if (!serverName.test(name))
    throw invalidAt(`mcp("${name}")`, 'its name must be one lower-case word of at most 32 characters')
  checkOptions(`mcp("${name}")`, options, checks, [])
  if ('command' in options === 'url' in options)
    throw invalidAt(`mcp("${name}")`, 'it needs either `command`, for a program, or `url`, for a server on the network')
  const { include, exclude = [], tools: own = {}, pins, elicitation = false, ...address } = options
  const path = pinPath(pins)
  const pinned = pinsOf(path, name)
  const listed = Object.keys(pinned?.tools ?? {})
  if (pinned)
    for (const each of [...(include ?? []), ...exclude, ...Object.keys(own)])
      if (each !== '*' && !listed.includes(each)) throw noTool(name, each, listed)
  const names = durableNames(name, listed)
  const chosen = listed.filter(each => (include?.includes(each) ?? true) && !exclude.includes(each))
  const optionsFor = (tool: string) => own[tool] ?? own['*'] ?? {}
  const tools = new Map<string, McpTool>()
  const server: McpServer = {
    kind: 'mcp',
    name,
    address,
    elicitation,
    get tools() {
      return [...tools.values()]
    },
    resources: { list: reader(name, 'resources/list'), read: reader(name, 'resources/read') },
    prompts: { list: reader(name, 'prompts/list'), get: reader(name, 'prompts/get') },
    pins: { path, pinned },
    tool(tool) {
      const found = tools.get(tool)
      if (found) return found
      if (pinned) throw noTool(name, tool, chosen)
      // Of an app that `tidings pin` loads.
      return toolOf(name, durableNames(name, [tool]).get(tool)!, tool, undefined, optionsFor(tool))
    },
  }
  for (const tool of chosen)
    tools.set(tool, toolOf(name, names.get(tool)!, tool, pinned!.tools[tool], optionsFor(tool)))
  return server
}

const noTool = (server: string, tool: string, known: readonly string[]) =>
  invalidAt(
    `mcp("${server}")`,
    `its pins have no tool ${describeValue(tool)}${didYouMean(tool, known) || '; run `tidings pin` if the server has it now'}`,
  )

function toolOf(
  server: string,
  name: string,
  tool: string,
  pinned: PinnedTool | undefined,
  own: McpToolOptions,
): McpTool {
  const { readOnlyHint = false, idempotentHint = false } = pinned?.annotations ?? {}
  if (own.approvers) {
    if (own.approval === undefined)
      throw invalidAt(`mcp("${server}")`, `the tool "${tool}" has approvers but needs no approval`)
    checkedApprovers(own.approvers, `the tool ${name}`)
  }
  return {
    kind: 'tool',
    name,
    options: {
      description: pinned?.description || `The tool "${tool}" of ${server}.`,
      input: schemaOf(pinned?.input ?? { type: 'object' }),
      ...(pinned?.output && { output: schemaOf(pinned.output) }),
      timeout: defaultTimeout,
      readOnly: readOnlyHint,
      atMostOnce: !readOnlyHint && !idempotentHint,
      ...own,
      run: notConnected(name, server),
    },
    mcp: { server, tool, pinned },
  }
}

type Reading = Extract<McpToolSource, { method: unknown }>['method']

const text = { type: 'string' }
const page = { type: 'object', properties: { cursor: { ...text, description: 'Where the next page begins.' } } }
const readings: Readonly<Record<Reading, { readonly description: string; readonly input: JsonSchema }>> = {
  'resources/list': { description: 'Lists the resources that can be read.', input: page },
  'resources/read': {
    description: 'Reads a resource.',
    input: { type: 'object', properties: { uri: text }, required: ['uri'] },
  },
  'prompts/list': { description: 'Lists the prompts that can be read.', input: page },
  'prompts/get': {
    description: 'Reads a prompt.',
    input: {
      type: 'object',
      properties: { name: text, arguments: { type: 'object', additionalProperties: text } },
      required: ['name'],
    },
  },
}

/** A tool that reads something of a server other than its tools. */
function reader(server: string, method: Reading): McpTool {
  const name = `${server}.${method.replace('/', '.')}`
  const { description, input } = readings[method]
  return {
    kind: 'tool',
    name,
    options: { description, input: schemaOf(input), readOnly: true, run: notConnected(name, server) },
    mcp: { server, method },
  }
}

const notConnected = (name: string, server: string) => (): Promise<never> =>
  Promise.reject(
    new TidingsError(
      'E_MCP_UNAVAILABLE',
      `"${name}" runs on the MCP server "${server}", to which nothing connects here`,
      {
        next: `Put mcp("${server}") into \`use\` of the app; in a test, name the tool in testApp({ tools }).`,
      },
    ),
  )

/** A schema of a server as a Standard Schema. It accepts any JSON, because the server checks its input itself. */
function schemaOf(schema: JsonSchema): Schema {
  const { $schema: _, ...form } = schema
  return {
    '~standard': {
      version: 1,
      vendor: 'mcp',
      validate: value => ({ value }),
      jsonSchema: { input: () => ({ ...form }), output: () => ({ ...form }) },
    },
  } as Schema
}

/** All tools that the workers of an app host for a server. */
export const hostedTools = ({ tools, resources, prompts, pins: { pinned } }: McpServer): readonly McpTool[] => [
  ...tools,
  ...(pinned?.hasResources ? [resources.list, resources.read] : []),
  ...(pinned?.hasPrompts ? [prompts.list, prompts.get] : []),
]

function isHttp(value: unknown): boolean {
  const text = value instanceof URL ? value.href : value
  return typeof text === 'string' && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
