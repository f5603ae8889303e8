import { calledTask } from './outcome.ts'
import type { Branch, Trace, TraceNode, TraceTask } from './tree.ts'

export interface TraceStep {
  readonly item: TraceNode | TraceTask
  /** On a request that started a task by name: that task. The step includes its branches. */
  readonly called?: TraceTask
  readonly parent?: TraceNode | TraceTask
  readonly guides: string
  /** Tree lines in front of the lines below this item. */
  readonly below: string
}

// The indentation stops growing at this width.
const maxGuideWidth = 32 * 3

/** Visits each item of a trace once, from the top. Iterative, because chains of causes may be longer than the call stack. */
export function* walkTrace(trace: Trace): Generator<TraceStep> {
  const waiting = stepsOf(trace, undefined, '').toReversed()
  for (let step = waiting.pop(); step; step = waiting.pop()) {
    yield step
    // An event may have caused more than fit on the call stack as arguments.
    for (const each of stepsOf(step.item, step.called, step.below, step.item).toReversed()) waiting.push(each)
  }
}

function stepsOf(
  branch: Branch,
  called: TraceTask | undefined,
  above: string,
  parent?: TraceStep['item'],
): TraceStep[] {
  const items = [
    ...branch.tasks.filter(task => task !== called),
    ...(called?.tasks ?? []),
    ...(called?.nodes ?? []),
    ...branch.nodes,
  ]
  const shown = items.filter(item => !isShownByTask(item))
  return shown.map((item, i) => {
    const last = i === shown.length - 1
    const step = item.kind === 'node' ? calledTask(item) : undefined
    const room = above.length < maxGuideWidth
    return {
      item,
      ...(step && { called: step }),
      ...(parent && { parent }),
      guides: parent ? above + (last ? '└─ ' : '├─ ') : '',
      below: parent && room ? above + (last ? '   ' : '│  ') : above,
    }
  })
}

/** Whether an event is the end of a task and caused nothing, so that the line of the task shows it. */
function isShownByTask(item: TraceNode | TraceTask): boolean {
  if (item.kind === 'task' || !item.by?.task.end) return false
  return item.event === item.by.task.ending && item.nodes.length + item.tasks.length === 0
}
