import { between, requestOutcome, endText, retriesIn, usageOf, usageOfTask, taskOutcome } from './outcome.ts'
import { callTimes } from './spans.ts'
import { linkOf, type Trace, type TraceNode, type TraceTask } from './tree.ts'
import { walkTrace } from './walk.ts'

/** A trace as flat records for programs, parents before children. */
export function* traceRecords(trace: Trace): Generator<Record<string, unknown>> {
  for (const { item, called, parent } of walkTrace(trace)) {
    const above = parent && { parent: parent.kind === 'task' ? parent.id : parent.event.id }
    yield item.kind === 'task' ? taskRecord(item, above) : nodeRecord(item, above)
    if (called) yield taskRecord(called, { parent: (item as TraceNode).event.id })
  }
  yield { kind: 'total', events: trace.events, ...trace.spent }
}

function taskRecord(task: TraceTask, above?: object) {
  const { id, program, programVersion: version, retryOf, operator, turns, started, ended } = task
  const outcome = taskOutcome(task)
  return {
    kind: 'task',
    id,
    ...above,
    program,
    version,
    ...(retryOf !== undefined && { retryOf }),
    ...(operator !== undefined && { operator }),
    turns: turns.length,
    started,
    ended,
    ...outcome,
    ...usageOfTask(task),
  }
}

function nodeRecord(node: TraceNode, above?: object) {
  const { event, by, answers } = node
  const { id, type, time, source, target, causationid, replay, retryof } = event
  const outcome = requestOutcome(node)
  const fields = {
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
  if (!outcome) return { kind: 'event', ...fields }
  const end = endText(answers.map(answer => answer.event))
  return {
    kind: 'call',
    ...fields,
    ...outcome,
    ...(end !== undefined && { end }),
    ...callTimes(node),
    ...retriesIn(answers.map(answer => answer.event)),
    answers: answers.map(answer => ({
      id: answer.event.id,
      type: answer.event.type,
      verdict: answer.verdict,
      ms: between(event, answer.event),
    })),
    ...usageOf(answers.map(answer => answer.event)),
  }
}
