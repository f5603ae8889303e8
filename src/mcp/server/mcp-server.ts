import type { Server, ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Client } from '../../ask/client.ts'
import type { Bus } from '../../bus/bus.ts'
import type { SharedKey } from '../../bus/shared-key.ts'
import { manifest } from '../../manifest.ts'
import { loadServerSdk } from '../load-sdk.ts'
import { CallTool } from './call-tool.ts'
import { mayCall } from './caller.ts'
import type { Catalog, PublishedTool } from './catalog.ts'
import { complete } from './completion.ts'
import { pageOf } from './page.ts'
import { Prompts } from './prompts.ts'
import { asProtocolError, missingTasks } from './protocol-errors.ts'
import { Resources } from './resources.ts'
import { tasksExtension } from '../tasks-extension.ts'
import { capabilitiesOf, hasTasks, type RequestScope } from './request-scope.ts'
import { TaskMethods } from './task-methods.ts'
import { taskTools } from './task-tools.ts'

/** What all connections of a process share. */
export interface McpDeps {
  readonly bus: Bus
  readonly client: Client
  readonly catalog: Catalog
  /** Signs what clients bring back. */
  readonly key: SharedKey
}

/** What the methods of one server share. */
export interface Publishing {
  readonly deps: McpDeps
  readonly scope: RequestScope
  readonly server: Server
}

const instructions =
  'Each tool runs as a durable task. A call that takes long answers with the id of its task: `get_task` waits for its result, `cancel_task` ends it.'

/** What is wrong with a call, it says itself. */
const anyParams = z.looseObject({})
const taskParams = z.looseObject({ taskId: z.string() })
const listParams = z.looseObject({ cursor: z.string().optional() })
const promptParams = z.looseObject({ name: z.string(), arguments: z.record(z.string(), z.unknown()).optional() })
const readParams = z.looseObject({ uri: z.string() })
const levelParams = z.looseObject({ level: z.string().max(20) })
const completionParams = z.looseObject({
  ref: z.looseObject({ type: z.string(), name: z.string().optional(), uri: z.string().optional() }),
  argument: z.looseObject({ name: z.string(), value: z.string() }),
})

/**
 * The server of one connection, or of one HTTP request: it lists and calls what apps publish, for one caller. Everything else is on the log, so any process serves any
 * request.
 */
export async function createMcpServer(deps: McpDeps, scope: RequestScope): Promise<Server> {
  const { Server: SdkServer } = await loadServerSdk()
  /** Without the checks of the SDK, which knows neither the results of tasks nor states that other processes signed. */
  class UncheckedServer extends SdkServer {
    protected override _wrapHandler(...[, handler]: Parameters<Server['_wrapHandler']>) {
      return handler
    }
  }
  const isModern = scope.era === 'modern'
  const server = new UncheckedServer(
    { name: 'tidings', version: manifest.version },
    {
      instructions,
      capabilities: {
        tools: {},
        prompts: {},
        resources: {},
        completions: {},
        ...(isModern
          ? { extensions: { [tasksExtension]: {} } }
          : { logging: {}, tasks: { cancel: {}, requests: { tools: { call: {} } } } }),
      },
    },
  )
  const tasks = new TaskMethods(deps, scope)
  const callTool = new CallTool(deps, scope, { tasks, server })
  /** In the era of 2026 these methods belong to an extension. */
  const ofTasks =
    <P>(method: (params: P, ctx: ServerContext) => Promise<object>) =>
    async (params: P, ctx: ServerContext) => {
      if (isModern && !hasTasks(capabilitiesOf(scope, ctx))) throw missingTasks()
      return { ...(await method(params, ctx).catch(asProtocolError(deps.bus))) }
    }
  const publishing = { deps, scope, server }
  const prompts = new Prompts(publishing)
  const resources = new Resources(publishing)
  const listTools = async ({ cursor }: { readonly cursor?: string | undefined }, ctx: ServerContext) => {
    const hasOwnTasks = hasTasks(capabilitiesOf(scope, ctx))
    const published = mayCall(scope.caller) ? await deps.catalog.list() : []
    const tools = published.map(tool => listed(tool, hasOwnTasks, isModern))
    const { items, ...next } = pageOf([...tools, ...(hasOwnTasks || tools.length === 0 ? [] : taskTools)], cursor)
    return { tools: items, ...next }
  }
  /** Errors are those of the protocol. */
  const handle = <P extends object>(
    method: string,
    params: z.ZodType<P>,
    answer: (params: P, ctx: ServerContext) => Promise<object>,
  ) =>
    server.setRequestHandler(method, { params }, async (given, ctx) => ({
      ...(await answer(given, ctx).catch(asProtocolError(deps.bus))),
    }))
  handle('tools/list', listParams, listTools)
  handle('prompts/list', listParams, prompts.list)
  handle('prompts/get', promptParams, prompts.get)
  handle('resources/list', listParams, resources.list)
  handle('resources/templates/list', listParams, resources.listTemplates)
  handle('resources/read', readParams, resources.read)
  handle('completion/complete', completionParams, complete(publishing))
  if (!isModern)
    handle('logging/setLevel', levelParams, async ({ level }) => {
      await scope.logLevel.set(level)
      return {}
    })
  server.setRequestHandler('tasks/get', { params: taskParams }, ofTasks(tasks.get))
  server.setRequestHandler('tasks/cancel', { params: taskParams }, ofTasks(tasks.cancel))
  if (isModern) server.setRequestHandler('tasks/update', { params: taskParams }, ofTasks(tasks.update))
  else server.setRequestHandler('tasks/result', { params: taskParams }, ofTasks(callTool.taskResult))
  server.setRequestHandler('tools/call', { params: anyParams }, (params, ctx) =>
    callTool.call(params, ctx).catch(asProtocolError(deps.bus)),
  )
  return server
}

/**
 * A client that knows tasks always gets the output itself, so it is told the schema. Others may get a text about a task that still runs.
 */
const listed = (
  { name, description, inputSchema, outputSchema, isReadOnly }: PublishedTool,
  hasTasks: boolean,
  isModern: boolean,
) => ({
  name,
  description,
  inputSchema,
  ...(hasTasks && outputSchema && { outputSchema }),
  ...(isReadOnly !== undefined && { annotations: { readOnlyHint: isReadOnly } }),
  ...(!isModern && { execution: { taskSupport: 'optional' } }),
})
