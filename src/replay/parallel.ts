import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { TidingsError, type ErrorCode } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { correlationOf, shardOf } from '../bus/ids.ts'
import { taskOf } from './histories.ts'
import { joined, type Outcome, type PinnedDefinition } from './replay.ts'
import { explained, type FindDocument } from './definitions.ts'
import type { Definitions, FromThread, ThreadData, ToThread } from './thread.ts'

/**
 * What a replay reads: events in the order of the log, with their data, and before those of a task the definition that it goes by,
 * where that is not the app's, and its snapshot, if any.
 */
export type Recorded =
  | { readonly position: number; readonly event: CloudEvent }
  | { readonly task: string; readonly definition: PinnedDefinition }
  | { readonly task: string; readonly snapshot: string }

const batch = 256
// Batches that a thread may have before it says that it is ready for more.
const ahead = 4

/**
 * Replays on all cores: a task belongs to one thread. The threads reach neither network nor log.
 * @param module URL of the module whose default export is the app.
 * @throws E_APP_INVALID, and whatever the app file throws
 */
export async function replayInThreads(
  module: string,
  { recorded, document }: { recorded: AsyncIterable<Recorded>; document: FindDocument },
  jobs = availableParallelism(),
): Promise<Outcome> {
  const threads = Array.from({ length: jobs }, () => new Thread(module))
  try {
    for await (const item of recorded) {
      const task = 'task' in item ? item.task : taskOf(item.event)
      if (task === undefined) continue
      const thread = threads[shardOf(correlationOf(task), jobs)]!
      if ('definition' in item) await thread.send({ kind: 'definition', task, definition: item.definition })
      else if ('snapshot' in item) await thread.send({ kind: 'snapshot', task, state: item.snapshot })
      else await thread.add(item)
    }
    const finished = await Promise.all(threads.map(thread => thread.finish()))
    return await explained(merged(finished.map(({ outcome }) => outcome)), finished[0]!.definitions, document)
  } finally {
    await Promise.all(threads.map(thread => thread.end()))
  }
}

interface Finished {
  readonly outcome: Outcome
  readonly definitions: Definitions
}

class Thread {
  readonly #worker: Worker
  #events: { position: number; event: CloudEvent }[] = []
  #room = ahead
  #ready: (() => void) | undefined
  readonly #finished = Promise.withResolvers<Finished>()
  readonly #failed: Promise<never>

  constructor(module: string) {
    this.#worker = new Worker(new URL(`./thread-main${import.meta.url.slice(-3)}`, import.meta.url), {
      workerData: { module } satisfies ThreadData,
    })
    this.#failed = new Promise((_, reject) => {
      this.#worker.on('error', reject)
      this.#worker.on('message', (message: FromThread) => {
        if (message.kind === 'outcome') this.#finished.resolve(message)
        else if (message.kind === 'failed')
          reject(new TidingsError(message.error.code as ErrorCode, message.error.message))
        else {
          this.#room++
          this.#ready?.()
        }
      })
      this.#worker.on('exit', code => reject(new TidingsError('E_APP_INVALID', `the app ended its thread: ${code}`)))
    })
    this.#failed.catch(() => {})
  }

  add(item: { position: number; event: CloudEvent }): Promise<void> | undefined {
    this.#events.push(item)
    return this.#events.length >= batch ? this.#flush() : undefined
  }

  /** At the pace of the thread. */
  async send(message: ToThread): Promise<void> {
    if (message.kind !== 'events' && this.#events.length > 0) await this.#flush()
    while (this.#room <= 0) await Promise.race([new Promise<void>(resolve => (this.#ready = resolve)), this.#failed])
    this.#room--
    this.#worker.postMessage(message)
  }

  async finish(): Promise<Finished> {
    await this.send({ kind: 'finish' })
    return Promise.race([this.#finished.promise, this.#failed])
  }

  end(): Promise<unknown> {
    return this.#worker.terminate()
  }

  #flush(): Promise<void> {
    const events = this.#events
    this.#events = []
    return this.send({ kind: 'events', events })
  }
}

/** As if one thread had seen it all: the same whatever the number of threads. */
function merged(outcomes: readonly Outcome[]): Outcome {
  const outcome = joined(outcomes)
  return {
    ...outcome,
    divergences: outcome.divergences.toSorted((a, b) => a.position - b.position),
    skipped: outcome.skipped.toSorted((a, b) => (a.task < b.task ? -1 : 1)),
  }
}
