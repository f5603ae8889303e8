import { emitId, resultId, taskId, turnId } from '../../../src/bus/ids.ts'
import type { Bus } from '../../../src/bus/bus.ts'
import type { CloudEvent, Draft } from '../../../src/event.ts'

/* A task that calls a tool in each turn, as its events are on the log: to run ten thousand turns would take a minute. */

export const longCorrelation = '01900000-0000-7000-8000-000000000001'
export const longTask = taskId(longCorrelation, 'desk', 'asked')

/** Three events for each turn: the turn, its call and the answer. The task has not ended. */
export async function publishLongTask(bus: Pick<Bus, 'publishAll'>, turns: number): Promise<void> {
  let batch: Draft[] = []
  for (const draft of drafts(turns)) if (batch.push(draft) === 1_000) await bus.publishAll(batch.splice(0))
  await bus.publishAll(batch)
}

function* drafts(turns: number): Generator<Draft> {
  const asked = { id: 'asked', type: 'question.asked', source: '/gateway', data: { text: 'Why?' } }
  yield { ...asked, correlationid: longCorrelation }
  let cause: Pick<CloudEvent, 'id' | 'type' | 'source' | 'data'> = asked
  for (let version = 1; version <= turns; version++) {
    const call = emitId(longTask, version, 0)
    const turn = {
      program: 'desk', programVersion: 1, programHash: 'a1b2c3d4', version, at: Date.now(), inputs: [cause],
      emits: [{ id: call, type: 'tool.invoke', wait: { target: 'notes.read', until: null } }], state: { version },
    } // biome-ignore format: one object
    const of = { correlationid: longCorrelation, source: '/agents/desk', causationid: cause.id, hops: 1 }
    yield { ...of, id: turnId(longTask, version), type: 'task.turn', data: turn }
    yield { ...of, id: call, type: 'tool.invoke', target: 'notes.read', replyto: 'desk', data: { input: { note: version } } } // biome-ignore format: one line
    const output = `note ${version}: the shop is open from ten to four`
    const answer = { id: resultId(call), type: 'tool.result', source: '/tools/notes.read', call, data: { output, ranMs: 1 } } // biome-ignore format: one line
    yield { ...of, ...answer, causationid: call }
    cause = answer
  }
}
