import { between, callOutcome, endText, retriesIn, spentBy, spentIn, taskOutcome } from './outcome.ts'
import { linkOf, type Trace, type TraceNode, type TraceTask } from './tree.ts'
import { walk } from './walk.ts'

/** A trace as flat objects, parents before children: for programs. */
export function* records(trace: Trace): Generator<Record<string, unknown>> {
  for (const { item, called, parent } of walk(trace)) {
    const above = parent && { parent: parent.kind === 'task' ? parent.id : parent.event.id }
    yield item.kind === 'task' ? taskRecord(item, above) : nodeRecord(item, above)
    if (called) yield taskRecord(called, { parent: (item as TraceNode).event.id })
  }
  yield { kind: 'total', events: trace.events, ...trace.spent }
}

function taskRecord(task: TraceTask, above?: object) {
  const { id, program, programVersion: version, retryOf, turns, started, ended } = task
  const outcome = taskOutcome(task)
  return {
    kind: 'task',
    id,
    ...above,
    program,
    version,
    ...(retryOf !== undefined && { retryOf }),
    turns: turns.length,
    started,
    ended,
    ...outcome,
    ...spentIn(task),
  }
}

function nodeRecord(node: TraceNode, above?: object) {
  const { event, by, answers } = node
  const { id, type, time, source, target, causationid, replay, retryof } = event
  const outcome = callOutcome(node)
  const told = {
    id,
    ...above,
    type,
    time,
    source,
    target,
    causationid,
    replay,
    ...(retryof !== undefined && { retryOf: retryof }),
    ...(by && { turn: by.turn }),
    ...linkOf(node),
  }
  if (!outcome) return { kind: 'event', ...told }
  const end = endText(answers.map(answer => answer.event))
  return {
    kind: 'call',
    ...told,
    ...outcome,
    ...(end !== undefined && { end }),
    ...retriesIn(answers.map(answer => answer.event)),
    answers: answers.map(answer => ({
      id: answer.event.id,
      type: answer.event.type,
      verdict: answer.verdict,
      ms: between(event, answer.event),
    })),
    ...spentBy(answers.map(answer => answer.event)),
  }
}
