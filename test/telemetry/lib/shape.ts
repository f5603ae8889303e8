import type { Branch } from '../../../src/trace/tree.ts'
import type { Seen } from './collector.ts'

/** A tree of ids: events by theirs, tasks by theirs. */
export interface Shape {
  id: string
  below: Shape[]
}

/** As `tidings trace` has it. */
export function shapeOfTrace({ nodes, tasks }: Branch): Shape[] {
  return inOrder([
    // That an attempt is delayed is told by the span of its delivery.
    ...nodes
      .filter(({ event }) => !event.type.endsWith('.delayed'))
      .map(node => ({ id: node.event.id, below: shapeOfTrace(node) })),
    ...tasks.map(task => ({ id: task.id, below: shapeOfTrace(task) })),
  ])
}

/** As it was exported: of spans that are neither a publish nor a task, what is below moves up. */
type Span = Pick<Seen, 'spanId' | 'name' | 'attributes'> & { parentSpanId?: string | undefined }

export function shapeOfSpans(spans: readonly Span[]): Shape[] {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const below = (parent: string | undefined): Shape[] =>
    spans
      .filter(
        ({ parentSpanId }) =>
          (parentSpanId !== undefined && ids.has(parentSpanId) ? parentSpanId : undefined) === parent,
      )
      .flatMap(span => {
        const id = nameOf(span)
        return id === undefined ? below(span.spanId) : [{ id, below: inOrder(below(span.spanId)) }]
      })
  return inOrder(below(undefined))
}

function nameOf({ name, attributes }: Span): string | undefined {
  if (name.startsWith('publish ')) return attributes['messaging.message.id'] as string
  if (name.startsWith('invoke_agent ')) return attributes['tidings.task'] as string
  return undefined
}

const inOrder = (shapes: Shape[]) => shapes.toSorted((a, b) => (a.id < b.id ? -1 : 1))
