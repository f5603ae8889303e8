import { availableParallelism } from 'node:os'
import { correlationOf, shardOf } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { explainDefinitions, type ReadDocument } from './definitions.ts'
import { thrownDivergence } from './divergence.ts'
import { replayedTaskOf } from './turn-assembler.ts'
import { ReplayProcess, StuckTurn } from './process.ts'
import { combineOutcomes, type ReplayOutcome, type PinnedDefinition } from './replayer.ts'

/**
 * What a replay reads: events in the order of the log, with their data, and before those of a task the definition that it goes by,
 * where that is not the app's, and its snapshot, if any.
 */
export type ReplayInput =
  | { readonly position: number; readonly event: CloudEvent }
  | { readonly task: string; readonly definition: PinnedDefinition }
  | { readonly task: string; readonly snapshot: string }

export interface ReplaySource {
  /** Is read again where a program got stuck. */
  readonly recorded: () => AsyncIterable<ReplayInput>
  readonly document: ReadDocument
}

export interface ReplayProcessOptions {
  readonly jobs?: number | undefined
  /** Longest time that one turn may take. */
  readonly turnTimeoutMs?: number
}

/**
 * Replays on all cores: a task belongs to one process. The processes reach neither network nor log. A program that gets stuck in a
 * turn, or ends its process, is reported with that turn and not run again: all is replayed once more without it.
 * @param module URL of the module whose default export is the app.
 * @throws E_APP_INVALID, and whatever the app file throws
 */
export async function replayInProcesses(
  module: string,
  recording: ReplaySource,
  { jobs = availableParallelism(), turnTimeoutMs = 10_000 }: ReplayProcessOptions = {},
): Promise<ReplayOutcome> {
  const stuck: StuckTurn[] = []
  for (;;) {
    try {
      const programs = stuck.map(({ progress }) => progress.context.program)
      const processes = Array.from(
        { length: jobs },
        () => new ReplayProcess({ module, stuck: programs, turnTimeoutMs }),
      )
      return mergeOutcomes([await replayOnce(processes, recording), ...stuck.map(outcomeOf)])
    } catch (error) {
      if (!(error instanceof StuckTurn)) throw error
      stuck.push(error)
    }
  }
}

async function replayOnce(
  processes: readonly ReplayProcess[],
  { recorded, document }: ReplaySource,
): Promise<ReplayOutcome> {
  try {
    for await (const item of recorded()) {
      const task = 'task' in item ? item.task : replayedTaskOf(item.event)
      if (task === undefined) continue
      const process = processes[shardOf(correlationOf(task), processes.length)]!
      if ('definition' in item) await process.send({ kind: 'definition', task, definition: item.definition })
      else if ('snapshot' in item) await process.send({ kind: 'snapshot', task, state: item.snapshot })
      else await process.add(item)
    }
    const finished = await Promise.all(processes.map(process => process.finish()))
    return await explainDefinitions(
      combineOutcomes(finished.map(({ outcome }) => outcome)),
      finished[0]!.definitions,
      document,
    )
  } finally {
    for (const process of processes) process.end()
  }
}

/** The turn in which a program got stuck. Its task is also among those that were not replayed, which is said here. */
function outcomeOf({ progress: { context: found, sourceLocation: place }, message }: StuckTurn): ReplayOutcome {
  return { tasks: 1, turns: 1, diverged: 1, divergences: [thrownDivergence(found, message, place)], skipped: [] }
}

/** As if one process had seen it all: the same whatever the number of processes. */
function mergeOutcomes(outcomes: readonly ReplayOutcome[]): ReplayOutcome {
  const outcome = combineOutcomes(outcomes)
  const stuck = new Set(outcomes.slice(1).map(({ divergences }) => divergences[0]!.task))
  return {
    ...outcome,
    divergences: outcome.divergences.toSorted((a, b) => a.position - b.position),
    skipped: outcome.skipped.filter(({ task }) => !stuck.has(task)).toSorted((a, b) => (a.task < b.task ? -1 : 1)),
  }
}
