import { Hono } from 'hono'
import type { Bus } from '../../bus/bus.ts'
import { isTaskId } from '../../bus/ids.ts'
import { notOnLog, TidingsError } from '../../errors.ts'
import { declaredApps } from '../../tasks/declared-apps.ts'
import { definitionDocument } from '../../tasks/instances.ts'
import { turnType } from '../../tasks/turn.ts'
import { eventTypes } from '../../workflows/definition-tree.ts'
import type { Definition } from '../../workflows/definition.ts'
import { toGraph, type Graph, type GraphNode } from '../../workflows/graph.ts'
import type { QueryIndex } from '../../trace/index/open.ts'
import type { ProgramCounts } from '../../trace/index/program-counts.ts'
import { recordedGraph } from '../../workflows/program.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'

/** A workflow with its graph. */
interface WorkflowView {
  readonly name: string
  readonly version: number
  readonly hash: string
  readonly description?: string
  /** Whether it has one instance for each key, and whether calls start it. */
  readonly keyed: boolean
  readonly callable: boolean
  /** The types that its steps wait for. */
  readonly events: readonly string[]
  readonly graph: Pick<Graph, 'nodes' | 'edges'>
  /** Of all its versions. */
  readonly instances: ProgramCounts
}

/** Workflows and their instances, as graphs. */
export function workflowRoutes({ bus, index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  const assertReader = (c: GatewayContext) => assertMay(c.var.principal, 'read', turnType)
  return new Hono<GatewayEnv>()
    .get('/workflows', async c => {
      assertReader(c)
      return c.json({ workflows: await workflowsOn(bus, query, c.var.principal.tenant) })
    })
    .get('/workflows/:name', async c => {
      assertReader(c)
      const name = c.req.param('name')
      // Instances of older versions may run, but new ones begin with the newest.
      const [newest] = (await workflowsOn(bus, query, c.var.principal.tenant, name)).toSorted(
        (a, b) => b.version - a.version,
      )
      if (!newest) throw notOnLog(`no app on this log declares a workflow "${name.slice(0, 80)}"`)
      return c.json(newest)
    })
    .get('/tasks/:id/graph', async c => {
      assertReader(c)
      const id = c.req.param('id')
      if (!isTaskId(id)) throw new TidingsError('E_REQUEST_INVALID', `"${id.slice(0, 80)}" is not the id of a task`)
      const { definition, hash, graph } = await recordedGraph(bus, id, c.var.principal.tenant)
      const idsOf = (...states: readonly GraphNode['state'][]) =>
        graph.nodes.filter(({ state }) => states.includes(state)).map(node => node.id)
      return c.json({
        task: id,
        ...viewOf(definition, hash, graph),
        active: idsOf('active'),
        done: idsOf('passed', 'reached'),
      })
    })
}

/** Those that the apps of the log declare. */
async function workflowsOn(bus: Bus, query: QueryIndex, tenant: string, only?: string): Promise<WorkflowView[]> {
  const declared = (await declaredApps(bus)).flatMap(({ workflows }) => workflows)
  const wanted = declared.filter(({ name }) => only === undefined || name === only)
  const found = wanted.map(async ({ name, hash, description }) => {
    const text = await bus.documents.readText(definitionDocument(name, hash))
    if (text === undefined) return []
    const definition = JSON.parse(text) as Definition
    return [
      {
        ...viewOf(definition, hash, toGraph(definition)),
        ...(description !== undefined && { description }),
        instances: await query(index => index.taskCounts(name, tenant)),
      },
    ]
  })
  return (await Promise.all(found)).flat()
}

const viewOf = ({ name, version, key, callable, steps }: Definition, hash: string, { nodes, edges }: Graph) => ({
  name,
  version,
  hash,
  keyed: key !== undefined,
  callable,
  events: eventTypes(steps),
  graph: { nodes, edges },
})
