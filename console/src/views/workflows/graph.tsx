import { layout, Graph as Layout } from '@dagrejs/dagre'
import {
  Background,
  Controls,
  Handle,
  MarkerType,
  Position,
  ReactFlow,
  type Edge,
  type Node,
  type NodeProps,
  type ReactFlowInstance,
} from '@xyflow/react'
import { useMemo } from 'react'
import '@xyflow/react/dist/base.css'
import type { GraphNode, WorkflowGraph } from '../../api/task-shapes.ts'
import type { Tone } from '../../ui/badge.tsx'
import { useIsPhone } from '../../ui/use-is-phone.ts'
import { Icon, type IconName } from '../../ui/icon.tsx'
import styles from './graph.module.css'

/* Loaded only where a graph is shown, because of its libraries. */

const size = { width: 232, height: 46 }

interface Step extends Record<string, unknown> {
  readonly step: GraphNode
}

/** The steps of a workflow from top to bottom; those of an instance with their state. */
export function Graph({ graph, label }: { graph: WorkflowGraph; label: string }) {
  const places = useMemo(() => placesOf(graph), [JSON.stringify(graph.edges)])
  const isPhone = useIsPhone()
  const states = new Map(graph.nodes.map(({ id, state }) => [id, state]))
  const nodes: Node<Step>[] = graph.nodes.map(step => ({
    id: step.id,
    type: 'step',
    position: places.get(step.id)!,
    data: { step },
    ...size,
    ariaLabel: [step.label, step.state, step.progress].filter(Boolean).join(', '),
  }))
  const edges: Edge[] = graph.edges.map(({ from, to, label: text }, i) => ({
    id: `${i}`,
    source: from,
    target: to,
    type: 'smoothstep',
    ...(text !== undefined && { label: text }),
    animated: states.get(to) === 'active' && ['passed', 'active'].includes(states.get(from) ?? ''),
    className: states.get(from) === 'passed' && isReached(states.get(to)) ? styles.taken! : styles.edge!,
    markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16, color: 'var(--border-strong)' },
  }))
  return (
    <div className={styles.graph} aria-label={label} role="group">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        {...(isPhone
          ? {
              onInit: (flow: ReactFlowInstance<Node<Step>>) =>
                void flow.setCenter(...centerOf(graph, places), { zoom: 0.9 }),
            }
          : { fitView: true, fitViewOptions: { maxZoom: 1, padding: '20px' } })}
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

/** On a phone, which shows a part: the step that is active, or the first one. */
function centerOf({ nodes }: WorkflowGraph, places: ReadonlyMap<string, { x: number; y: number }>): [number, number] {
  const shown = nodes.find(({ state }) => state === 'active') ?? nodes[0]
  const { x, y } = places.get(shown?.id ?? '') ?? { x: 0, y: 0 }
  return [x + size.width / 2, y + size.height * 2]
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

const nodeTypes = { step: StepNode }

function placesOf({ nodes, edges }: WorkflowGraph): ReadonlyMap<string, { x: number; y: number }> {
  const drawing = new Layout({ multigraph: true })
  drawing.setGraph({ rankdir: 'TB', nodesep: 32, ranksep: 34, edgesep: 20 })
  drawing.setDefaultEdgeLabel(() => ({}))
  for (const { id } of nodes) drawing.setNode(id, { ...size })
  for (const [i, { from, to, label = '' }] of edges.entries())
    drawing.setEdge(from, to, { width: label.length * 7, height: 14 }, `${i}`)
  layout(drawing)
  return new Map(
    nodes.map(({ id }) => {
      const { x, y } = drawing.node(id) as { x: number; y: number }
      return [id, { x: x - size.width / 2, y: y - size.height / 2 }]
    }),
  )
}
