import { calledTask } from './outcome.ts'
import type { Branch, Trace, TraceNode, TraceTask } from './tree.ts'

export interface Step {
  readonly item: TraceNode | TraceTask
  /** On a request that started a task by name: that task, whose branches the step has too. */
  readonly called?: TraceTask
  readonly parent?: TraceNode | TraceTask
  /** The lines of a drawn tree that lead here. */
  readonly guides: string
  /** The lines that lead to whatever is written below and belongs to this step. */
  readonly below: string
}

// Beyond this depth the drawing grows no further to the right.
const deepest = 32 * 3

/** Everything in a trace, from the top, each once. Chains of causes may be longer than a stack. */
export function* walk(trace: Trace): Generator<Step> {
  const waiting = stepsOf(trace, undefined, '').toReversed()
  for (let step = waiting.pop(); step; step = waiting.pop()) {
    yield step
    waiting.push(...stepsOf(step.item, step.called, step.below, step.item).toReversed())
  }
}

function stepsOf(branch: Branch, called: TraceTask | undefined, above: string, parent?: Step['item']): Step[] {
  const items = [
    ...branch.tasks.filter(task => task !== called),
    ...(called?.tasks ?? []),
    ...(called?.nodes ?? []),
    ...branch.nodes,
  ]
  const shown = items.filter(item => !isSaidByItsTask(item))
  return shown.map((item, i) => {
    const last = i === shown.length - 1
    const step = item.kind === 'node' ? calledTask(item) : undefined
    const room = above.length < deepest
    return {
      item,
      ...(step && { called: step }),
      ...(parent && { parent }),
      guides: parent ? above + (last ? '└─ ' : '├─ ') : '',
      below: parent && room ? above + (last ? '   ' : '│  ') : above,
    }
  })
}

/** The end of a task, when nothing came of it: the line of the task says it. */
function isSaidByItsTask(item: TraceNode | TraceTask): boolean {
  if (item.kind === 'task' || !item.by?.task.end) return false
  return item.event === item.by.task.ending && item.nodes.length + item.tasks.length === 0
}
