import { availableParallelism } from 'node:os'
import { TidingsError } from '../../errors.ts'
import { replayInProcesses, type ReplayInput } from '../../replay/parallel.ts'
import { sourceFromBus } from '../../replay/source.ts'
import { replaySummary, type ReplaySummary } from '../../replay/summary.ts'
import { interrupted, type OperationHost } from './execute.ts'

/**
 * Replays recorded tasks against the code of this worker, in processes that reach neither network nor log, as `tidings replay` does. They load
 * the app from its file. At most half of the cores, because the worker has other work. @throws E_SETTING_INVALID, E_APP_INVALID, E_WORKER_STOPPED
 */
export async function replayTasks(
  { bus, module, signal }: OperationHost,
  tasks: readonly string[],
): Promise<ReplaySummary> {
  if (module === undefined)
    throw new TidingsError('E_SETTING_INVALID', 'the worker that took this does not know the file of its app', {
      next: 'Start it with `tidings run`, or pass the module of the app: start(app, { module: import.meta.url }).',
    })
  async function* recorded(): AsyncGenerator<ReplayInput> {
    for (const task of tasks) {
      if (signal.aborted) throw interrupted()
      yield* sourceFromBus(bus, { task }).events()
    }
  }
  const document = async (key: string) => await bus.documents.readText(key)
  const jobs = Math.min(Math.max(1, tasks.length), Math.ceil(availableParallelism() / 2))
  return replaySummary(await replayInProcesses(module, { recorded, document }, { jobs }))
}
