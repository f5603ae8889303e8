import { availableParallelism } from 'node:os'
import { correlationOf, shardOf } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { explained, type FindDocument } from './definitions.ts'
import { threw } from './divergence.ts'
import { taskOf } from './histories.ts'
import { Process, Stuck } from './process.ts'
import { joined, type Outcome, type PinnedDefinition } from './replay.ts'

/**
 * What a replay reads: events in the order of the log, with their data, and before those of a task the definition that it goes by,
 * where that is not the app's, and its snapshot, if any.
 */
export type Recorded =
  | { readonly position: number; readonly event: CloudEvent }
  | { readonly task: string; readonly definition: PinnedDefinition }
  | { readonly task: string; readonly snapshot: string }

export interface Recording {
  /** Is read again where a program got stuck. */
  readonly recorded: () => AsyncIterable<Recorded>
  readonly document: FindDocument
}

export interface ParallelOptions {
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
  recording: Recording,
  { jobs = availableParallelism(), turnTimeoutMs = 10_000 }: ParallelOptions = {},
): Promise<Outcome> {
  const stuck: Stuck[] = []
  for (;;) {
    try {
      const programs = stuck.map(({ progress }) => progress.found.program)
      const processes = Array.from({ length: jobs }, () => new Process({ module, stuck: programs, turnTimeoutMs }))
      return merged([await replayed(processes, recording), ...stuck.map(outcomeOf)])
    } catch (error) {
      if (!(error instanceof Stuck)) throw error
      stuck.push(error)
    }
  }
}

async function replayed(processes: readonly Process[], { recorded, document }: Recording): Promise<Outcome> {
  try {
    for await (const item of recorded()) {
      const task = 'task' in item ? item.task : taskOf(item.event)
      if (task === undefined) continue
      const process = processes[shardOf(correlationOf(task), processes.length)]!
      if ('definition' in item) await process.send({ kind: 'definition', task, definition: item.definition })
      else if ('snapshot' in item) await process.send({ kind: 'snapshot', task, state: item.snapshot })
      else await process.add(item)
    }
    const finished = await Promise.all(processes.map(process => process.finish()))
    return await explained(joined(finished.map(({ outcome }) => outcome)), finished[0]!.definitions, document)
  } finally {
    for (const process of processes) process.end()
  }
}

/** The turn in which a program got stuck. Its task is also among those that were not replayed, which is said here. */
function outcomeOf({ progress: { found, place }, message }: Stuck): Outcome {
  return { tasks: 1, turns: 1, diverged: 1, divergences: [threw(found, message, place)], skipped: [] }
}

/** As if one process had seen it all: the same whatever the number of processes. */
function merged(outcomes: readonly Outcome[]): Outcome {
  const outcome = joined(outcomes)
  const stuck = new Set(outcomes.slice(1).map(({ divergences }) => divergences[0]!.task))
  return {
    ...outcome,
    divergences: outcome.divergences.toSorted((a, b) => a.position - b.position),
    skipped: outcome.skipped.filter(({ task }) => !stuck.has(task)).toSorted((a, b) => (a.task < b.task ? -1 : 1)),
  }
}
