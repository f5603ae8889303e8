import { layout, Graph as Layout } from '@dagrejs/dagre'
import type { WorkflowGraph } from '../../api/task-shapes.ts'

export const stepSize = { width: 232, height: 46 }

interface Point {
  readonly x: number
  readonly y: number
}

/** Where everything of a graph is drawn. */
export interface Drawing {
  /** Of the upper left corners of steps, by id. */
  readonly places: ReadonlyMap<string, Point>
  /** Of edges, in their order: the path, and the middle of the label. */
  readonly routes: readonly { readonly path: string; readonly label: Point }[]
}

/** Steps from top to bottom, and edges around them. */
export function drawingOf({ nodes, edges }: WorkflowGraph): Drawing {
  const graph = new Layout({ multigraph: true })
  graph.setGraph({ rankdir: 'TB', nodesep: 32, ranksep: 34, edgesep: 20 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { id } of nodes) graph.setNode(id, { ...stepSize })
  for (const [i, { from, to, label = '' }] of edges.entries())
    graph.setEdge(from, to, { width: label.length * 7, height: 14, labelpos: 'c' }, `${i}`)
  layout(graph)
  const places = nodes.map(({ id }) => {
    const { x, y } = graph.node(id) as Point
    return [id, { x: x - stepSize.width / 2, y: y - stepSize.height / 2 }] as const
  })
  const routes = edges.map(({ from, to }, i) => {
    const { points, x, y } = graph.edge(from, to, `${i}`) as { points: readonly Point[] } & Point
    return { path: pathThrough(points), label: { x, y } }
  })
  return { places: new Map(places), routes }
}

/** A smooth line along points, which bends at each of them. */
function pathThrough([first, ...rest]: readonly Point[]): string {
  const last = rest.at(-1)!
  const bends = rest.slice(0, -1).map((point, i) => {
    const next = rest[i + 1]!
    const end = i === rest.length - 2 ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 }
    return `Q${point.x},${point.y} ${end.x},${end.y}`
  })
  return [`M${first!.x},${first!.y}`, ...(bends.length > 0 ? bends : [`L${last.x},${last.y}`])].join(' ')
}
