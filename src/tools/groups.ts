import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import type { HandlerResult } from '../bus/delivery.ts'
import type { Delivery } from '../bus/driver.ts'
import { delay, retriesOf } from '../bus/retries.ts'
import { claimOwnGroups, serverGroup, serverTargets, toolGroup } from '../tasks/tool-groups.ts'
import type { AnyTool } from './tool.ts'

/** A consumer group and the tools whose requests it takes. */
export interface ToolGroup {
  readonly group: string
  readonly targets: readonly string[]
  /** By name. */
  readonly tools: ReadonlyMap<string, AnyTool>
  readonly limits: Pick<AnyTool['options'], 'limit' | 'rate'>
  /** Ends a delivery for a tool that is not one of these. */
  passOn?(event: CloudEvent, delivery: Delivery): Promise<HandlerResult> | undefined
}

/** The groups of tools: one for each tool, and one that the tools of an MCP server share. */
export async function groupsOf(bus: Bus, tools: readonly AnyTool[]): Promise<ToolGroup[]> {
  const byServer = Map.groupBy(tools, ({ mcp }) => mcp?.server)
  const groups = await Promise.all(
    [...byServer].map(async ([server, members]) =>
      server === undefined ? members.map(ownGroup) : serverGroups(bus, server, members),
    ),
  )
  return groups.flat()
}

const ownGroup = (tool: AnyTool): ToolGroup => ({
  group: toolGroup(tool.name),
  targets: [tool.name],
  tools: new Map([[tool.name, tool]]),
  limits: tool.options,
})

async function serverGroups(bus: Bus, server: string, tools: readonly AnyTool[]): Promise<ToolGroup[]> {
  const limited = tools.filter(({ options: { limit, rate } }) => limit !== undefined || rate !== undefined)
  const own = await claimOwnGroups(bus, server, limited.map(({ name }) => name)) // biome-ignore format: one line
  const shared = new Map(tools.flatMap(tool => (own.has(tool.name) ? [] : [[tool.name, tool]])))
  const passOn = (event: CloudEvent, delivery: Delivery) => {
    const { target = '' } = event
    if (shared.has(target)) return undefined
    if (own.has(target)) return Promise.resolve<HandlerResult>({ outcome: { kind: 'done' } })
    return postponed(bus, event, delivery, server)
  }
  const targets = [serverTargets(server)]
  return [
    ...tools.filter(({ name }) => own.has(name)).map(ownGroup),
    { group: serverGroup(server), targets, tools: shared, limits: {}, passOn },
  ]
}

/** Workers with other pins or another choice of tools are members of the same group. */
function postponed(bus: Bus, event: CloudEvent, delivery: Delivery, server: string): Promise<HandlerResult> {
  const { holds, ...retries } = retriesOf(delivery, bus.now)
  return delay(bus, event, {
    source: `/mcp/${server}`,
    retries: { ...retries, holds: holds + 1 },
    after: Math.min(maxPostponeMs, firstPostponeMs * 2 ** Math.min(holds, 16)),
    error: new TidingsError('E_NOT_FOUND', `this worker does not have the tool "${event.target}"`, { retryable: true }),
    isSilent: true,
  })
}

const firstPostponeMs = 250
const maxPostponeMs = 60_000
