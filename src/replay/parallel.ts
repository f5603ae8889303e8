import { availableParallelism } from 'node:os'
import { comparePositions } from '../bus/cursor.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { correlationOf, shardOf } from '../bus/ids.ts'
import { diffJson } from './compare.ts'
import { thrownDivergence, type Divergence } from './divergence.ts'
import type { Definitions } from './messages.ts'
import { replayedTaskOf } from './turn-assembler.ts'
import { ReplayProcess, StuckTurn } from './process.ts'
import { combineOutcomes, type ReplayOutcome, type PinnedDefinition } from './replayer.ts'

/** Events with their data in log order. The pinned definition and the snapshot of a task, if any, precede its events. */
export type ReplayInput =
  | StoredEvent
  | { readonly task: string; readonly definition: PinnedDefinition }
  | { readonly task: string; readonly snapshot: string }

export interface ReplaySource {
  /** Read from the start again after a program got stuck. */
  readonly recorded: () => AsyncIterable<ReplayInput>
  /** Reads a document of the recorded log. */
  readonly document: (key: string) => Promise<string | undefined>
}

export interface ReplayProcessOptions {
  readonly jobs?: number | undefined
  /** Maximum time of one turn. Default 10 s. */
  readonly turnTimeoutMs?: number
}

/**
 * Replays on all cores. Each task belongs to one process, which reaches neither network nor log. A program that does not end a turn, or
 * ends its process, is reported with that turn; the replay then starts over without it.
 * @param module URL of the module whose default export is the app
 * @throws E_APP_INVALID, and any error that the app file throws
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
      const options = { module, stuck: programs, turnTimeoutMs }
      const processes = Array.from({ length: jobs }, () => new ReplayProcess(options))
      return mergeOutcomes([await replayOnce(processes, recording), ...stuck.map(outcomeOf)])
    } catch (error) {
      if (!(error instanceof StuckTurn)) throw error
      stuck.push(error)
    }
  }
}

async function replayOnce(processes: readonly ReplayProcess[], source: ReplaySource): Promise<ReplayOutcome> {
  try {
    for await (const item of source.recorded()) {
      const task = 'task' in item ? item.task : replayedTaskOf(item.event)
      if (task === undefined) continue
      const process = processes[shardOf(correlationOf(task), processes.length)]!
      if ('definition' in item) await process.send({ kind: 'definition', task, definition: item.definition })
      else if ('snapshot' in item) await process.send({ kind: 'snapshot', task, state: item.snapshot })
      else await process.add(item)
    }
    const finished = await Promise.all(processes.map(process => process.finish()))
    const outcome = combineOutcomes(finished.map(each => each.outcome))
    return await explainDefinitions(outcome, finished[0]!.definitions, source.document)
  } finally {
    for (const process of processes) process.end()
  }
}

/** Counts the task and the turn in which a program got stuck; `mergeOutcomes` removes that task from the skipped ones. */
function outcomeOf({ progress: { context, sourceLocation }, message }: StuckTurn): ReplayOutcome {
  const divergences = [thrownDivergence(context, message, sourceLocation)]
  return { tasks: 1, turns: 1, diverged: 1, divergences, skipped: [] }
}

/** The same outcome as that of a single process. */
function mergeOutcomes(outcomes: readonly ReplayOutcome[]): ReplayOutcome {
  const outcome = combineOutcomes(outcomes)
  const stuck = new Set(outcomes.slice(1).map(({ divergences }) => divergences[0]!.task))
  return {
    ...outcome,
    divergences: outcome.divergences.toSorted((a, b) => comparePositions(a.position, b.position)),
    skipped: outcome.skipped.filter(({ task }) => !stuck.has(task)).toSorted((a, b) => (a.task < b.task ? -1 : 1)),
  }
}

/** Replaces a changed definition key of a model call by what changed in the instructions, tools and output. */
async function explainDefinitions(
  outcome: ReplayOutcome,
  now: Definitions,
  document: ReplaySource['document'],
): Promise<ReplayOutcome> {
  const known = new Map<string, string | undefined>()
  const explain = async (divergence: Divergence): Promise<Divergence> => {
    const changed = divergence.changes.find(({ path }) => path.join('.') === 'data.definition')
    if (!changed) return divergence
    const [key, after] = [String(changed.before), now[String(changed.after)]]
    if (!known.has(key)) known.set(key, await document(key))
    const before = known.get(key)
    if (before === undefined || after === undefined) return divergence
    const changes = diffJson(JSON.parse(before), after).map(each => ({ ...each, path: ['definition', ...each.path] }))
    return { ...divergence, changes: [...divergence.changes.filter(each => each !== changed), ...changes] }
  }
  return { ...outcome, divergences: await Array.fromAsync(outcome.divergences, explain) }
}
