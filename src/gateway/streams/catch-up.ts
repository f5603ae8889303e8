import type { Bus } from '../../bus/bus.ts'
import { distanceBetween, intersectionOf, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import type { Filter } from '../../pattern.ts'
import { readLinked } from '../../tasks/links.ts'
import { Broadcast } from './broadcast.ts'
import type { OnLack } from './fanout.ts'
import type { FrameCache } from './frames.ts'
import type { StreamClient } from './stream-client.ts'

/** A client with more than this in its queue reads on when it has taken it. */
const maxQueuedBytes = 128 * 1024
/** Events between two looks at the horizon. */
const batchSize = 64
/** Correlations that are read at a time. */
const maxReadings = 16

interface StreamCatchUpOptions {
  readonly bus: Bus
  readonly frames: FrameCache
  /** Where clients have to come: what the shared reader sends next begins there. */
  target(): Promise<Cursor>
  readonly onLack: OnLack
}

/**
 * Brings clients to where the shared reader is, from the log. Clients of a correlation read that. All others who lack about as much read the
 * log together, so that thousands who come back at once cost a few readings, and none waits for one who lacks far more.
 */
export class StreamCatchUp {
  readonly #options: StreamCatchUpOptions
  /** By the size of what they lack: those who wait for the next reading. An entry exists while there is a reading of that size. */
  readonly #waiting = new Map<number, Map<StreamClient, PromiseWithResolvers<void>>>()
  readonly #readings = new Slots(maxReadings)

  constructor(options: StreamCatchUpOptions) {
    this.#options = options
  }

  /** Resolves when the client has caught up, has taken as much as it can for now, or is disconnected. @throws E_LOG_UNAVAILABLE */
  async serve(client: StreamClient): Promise<void> {
    const { correlation } = client.scope.request
    if (correlation === undefined) return this.#join(client)
    await this.#readings.run(async () => {
      if (!client.closed.aborted) await this.#readCorrelation(client, correlation)
    })
  }

  async #readCorrelation(client: StreamClient, correlation: string): Promise<void> {
    const { bus } = this.#options
    const until = await this.#options.target()
    const isOfTask = client.scope.request.task !== undefined
    const entries = isOfTask
      ? bus.read({ correlation, after: client.cursor, until })
      : readLinked(bus, correlation, { after: client.cursor, until })
    await this.#send([client], { entries, after: client.cursor, until })
  }

  async #join(client: StreamClient): Promise<void> {
    const size = Math.floor(Math.log2(1 + distanceBetween(client.cursor, await this.#options.target())) / 2)
    const reads = this.#waiting.has(size)
    const waiting = this.#waiting.get(size) ?? new Map<StreamClient, PromiseWithResolvers<void>>()
    const own = Promise.withResolvers<void>()
    this.#waiting.set(size, waiting.set(client, own))
    if (!reads) void this.#readAll(size)
    await own.promise
  }

  async #readAll(size: number): Promise<void> {
    for (;;) {
      // Others who come at the same moment read along.
      await new Promise<void>(resolve => setImmediate(resolve))
      const waiting = this.#waiting.get(size)!
      if (waiting.size === 0) break
      this.#waiting.set(size, new Map())
      const clients = [...waiting.keys()]
      await this.#readTogether(clients).then(
        () => waiting.forEach(({ resolve }) => resolve()),
        error => waiting.forEach(({ reject }) => reject(error)),
      )
    }
    this.#waiting.delete(size)
  }

  async #readTogether(clients: readonly StreamClient[]): Promise<void> {
    const until = await this.#options.target()
    const after = clients.map(({ cursor }) => cursor).reduce(intersectionOf)
    const filter = sharedFilter(clients)
    const entries = this.#options.bus.read({ after, until, ...(filter && { filter }) })
    await this.#send(clients, { entries, after, until })
  }

  /** Ends when all is sent, or no client is left that can take more. */
  async #send(
    clients: readonly StreamClient[],
    { entries, after, until }: { entries: AsyncIterable<LogEntry>; after: Cursor; until: Cursor },
  ): Promise<void> {
    const { bus, frames, onLack } = this.#options
    const broadcast = new Broadcast(frames, { maxQueuedBytes, isPatient: true })
    for (const client of clients) void broadcast.add(client)
    let read = after
    let known: Cursor | undefined
    try {
      for await (const batch of batches(entries)) {
        // After the entries were read and before they are sent: so a purge in between is seen.
        const horizon = await bus.horizon()
        if (horizon !== known)
          for (const client of clients)
            if (client.lacks(horizon, read)) {
              onLack(client, horizon)
              broadcast.remove(client)
            }
        known = horizon
        for (const entry of batch) {
          if (broadcast.clients.size === 0) return
          await broadcast.deliver(entry)
          read = unionOf(read, entry.cursor)
        }
      }
      await broadcast.settled()
      for (const client of broadcast.clients.keys()) client.advance(until)
    } finally {
      for (const client of clients) broadcast.remove(client)
    }
  }
}

/** The last batch may be empty. */
async function* batches(entries: AsyncIterable<LogEntry>): AsyncGenerator<LogEntry[]> {
  let batch: LogEntry[] = []
  for await (const entry of entries) {
    batch.push(entry)
    if (batch.length < batchSize) continue
    yield batch
    batch = []
  }
  yield batch
}

/** Covers what any of the clients may want; undefined for everything. */
function sharedFilter(clients: readonly StreamClient[]): Filter | undefined {
  const types = new Set<string>()
  for (const { scope } of clients) {
    if (!scope.request.filter) return undefined
    for (const clause of scope.request.filter) for (const type of clause.types) types.add(type)
  }
  return [{ types: [...types] }]
}

/** Runs at most a number of things at a time. */
class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async run(work: () => Promise<void>): Promise<void> {
    if (this.#free === 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#free--
    try {
      await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
