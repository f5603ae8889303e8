import {
  Background,
  BaseEdge,
  Controls,
  Handle,
  MarkerType,
  Position,
  ReactFlow,
  type Edge,
  type EdgeProps,
  type Node,
  type NodeProps,
  type ReactFlowInstance,
} from '@xyflow/react'
import { useMemo, useRef } from 'react'
import '@xyflow/react/dist/base.css'
import type { GraphNode, WorkflowGraph } from '../../api/task-shapes.ts'
import type { Tone } from '../../ui/badge.tsx'
import { Icon, type IconName } from '../../ui/icon.tsx'
import { drawingOf, stepSize as size, type Drawing } from './graph-layout.ts'
import styles from './graph.module.css'

/* Loaded only where a graph is shown, because of its libraries. */

/** A graph that would be smaller is shown in part. */
const minReadableZoom = 0.7
const padding = '20px'

interface Step extends Record<string, unknown> {
  readonly step: GraphNode
}

type Route = Record<string, unknown> & Drawing['routes'][number]

/** The steps of a workflow from top to bottom; those of an instance with their state. */
export function Graph({ graph, label }: { graph: WorkflowGraph; label: string }) {
  const { places, routes } = useMemo(() => drawingOf(graph), [JSON.stringify(graph.edges)])
  const frame = useRef<HTMLDivElement>(null)
  const states = new Map(graph.nodes.map(({ id, state }) => [id, state]))
  const nodes: Node<Step>[] = graph.nodes.map(step => ({
    id: step.id,
    type: 'step',
    position: places.get(step.id)!,
    data: { step },
    ...size,
    ariaLabel: [step.label, step.state, step.progress].filter(Boolean).join(', '),
  }))
  const edges: Edge<Route>[] = graph.edges.map(({ from, to, label: text }, i) => ({
    id: `${i}`,
    source: from,
    target: to,
    type: 'route',
    data: { ...routes[i]! },
    ...(text !== undefined && { label: text }),
    animated: states.get(to) === 'active' && ['passed', 'active'].includes(states.get(from) ?? ''),
    // That a round was repeated is not known.
    className:
      states.get(from) === 'passed' && isReached(states.get(to)) && text !== 'again' ? styles.taken! : styles.edge!,
    markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16, color: 'var(--border-strong)' },
  }))
  /** All of it, or the step that is active, or the beginning. */
  const showReadable = async (flow: ReactFlowInstance<Node<Step>, Edge<Route>>) => {
    await flow.fitView({ maxZoom: 1, padding })
    if (flow.getZoom() >= minReadableZoom || !frame.current) return
    const shown = graph.nodes.find(({ state }) => state === 'active')
    const { x, y } = places.get((shown ?? graph.nodes[0]!).id)!
    const zoom = 0.9
    const below = shown ? size.height / 2 : frame.current.clientHeight / zoom / 2 - 24
    await flow.setCenter(x + size.width / 2, y + below, { zoom })
  }
  return (
    <div ref={frame} className={styles.graph} aria-label={label} role="group">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        onInit={flow => void showReadable(flow)}
        minZoom={0.2}
        maxZoom={1.6}
        nodesDraggable={false}
        nodesConnectable={false}
        edgesFocusable={false}
        proOptions={{ hideAttribution: true }}
      >
        <Background gap={22} color="var(--border)" />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  )
}

const isReached = (state: GraphNode['state']) => state === 'passed' || state === 'active' || state === 'reached'

const kinds: Readonly<Record<string, readonly [Tone, IconName]>> = {
  when: ['trigger', 'live'],
  call: ['agent', 'send'],
  each: ['agent', 'send'],
  parallel: ['agent', 'send'],
  emit: ['trigger', 'external'],
  approve: ['approval', 'user'],
  wait: ['other', 'clock'],
  choose: ['workflow', 'fork'],
  repeat: ['workflow', 'retry'],
  complete: ['other', 'check'],
  fail: ['other', 'warning'],
  end: ['other', 'check'],
}

const stateTones: Readonly<Record<string, Tone>> = { passed: 'ok', reached: 'ok', active: 'running' }

function StepNode({ data: { step } }: NodeProps<Node<Step>>) {
  const { id, kind, label, state, progress } = step
  const [kindTone, icon] = kinds[kind] ?? ['other', 'more']
  const isFailure = id === 'failed' && state === 'reached'
  const tone = isFailure ? 'failed' : state === undefined ? kindTone : (stateTones[state] ?? 'other')
  const { name, what } = textsOf(step)
  return (
    <div
      className={styles.node}
      data-state={state}
      data-kind={kind}
      style={{ '--tone': `var(--${tone})` } as object}
      title={label}
    >
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <span className={styles.icon}>
        <Icon name={state === 'passed' ? 'check' : id === 'failed' ? 'warning' : icon} size={14} />
      </span>
      <span className={styles.texts}>
        <span className={styles.name}>{name}</span>
        {what !== '' && <span className={styles.what}>{what}</span>}
      </span>
      {progress !== undefined && <span className={styles.progress}>{progress}</span>}
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </div>
  )
}

/** What a step does that has no name of its own. */
const verbs: Readonly<Record<string, string>> = {
  choose: 'decides',
  repeat: 'repeats',
  emit: 'emits',
  wait: 'waits',
  complete: 'ends the instance',
  fail: 'ends the instance',
}

/** A label is `name: what it does`, or only what it does. */
function textsOf({ kind, label }: GraphNode): { name: string; what: string } {
  const [, name, what] = /^([\w.-]+): (.+)$/s.exec(label) ?? []
  if (name !== undefined && what !== undefined) return { name, what }
  return { name: kind === 'emit' ? label.replace(/^emit /, '') : label, what: verbs[kind] ?? '' }
}

function RouteEdge({ data, label, markerEnd, style }: EdgeProps<Edge<Route>>) {
  const { path, label: at } = data!
  const end = markerEnd === undefined ? {} : { markerEnd }
  return <BaseEdge path={path} label={label} labelX={at.x} labelY={at.y} style={style} {...end} />
}

const nodeTypes = { step: StepNode }
const edgeTypes = { route: RouteEdge }
