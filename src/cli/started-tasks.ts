import { CorrelationFeed } from '../ask/feed.ts'
import type { Bus, PublishedEvent } from '../bus/bus.ts'
import { parseId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { eventLine, terminalWidth } from './event-line.ts'
import { print, shutdownSignal, type GlobalOptions } from './output.ts'

/** The tasks that one event starts, followed through their turns. A turn may come before the events that it emitted, or after them. */
class StartedTasks {
  readonly #event: string
  readonly #running = new Set<string>()
  readonly #seen = new Set<string>()
  #ends: readonly string[] = []
  #started = 0

  constructor(event: string) {
    this.#event = event
  }

  /** Turns with their data. */
  see({ id, type, data }: CloudEvent) {
    this.#seen.add(id)
    if (type !== turnType) return
    const { task } = parseId(id)!
    const { version, inputs, end, successor, emits } = data as Turn
    if (version === 1 && inputs.some(input => input.id === this.#event)) {
      this.#running.add(task)
      this.#started++
    }
    if (!end || !this.#running.delete(task)) return
    if (successor !== undefined) this.#running.add(successor)
    this.#ends = [...this.#ends, ...emits.map(emit => emit.id)]
  }

  get haveEnded(): boolean {
    return this.#started > 0 && this.#running.size === 0 && this.#ends.every(id => this.#seen.has(id))
  }
}

/** Prints the events that follow from a published one, until every task that it started has ended. @throws E_RESULT_PENDING */
export async function printUntilEnded(
  bus: Bus,
  { id, correlationid }: PublishedEvent,
  { json, within }: GlobalOptions & { within: Duration },
): Promise<void> {
  const feed = new CorrelationFeed(bus)
  const shutdown = AbortSignal.any([shutdownSignal(), AbortSignal.timeout(milliseconds(within))])
  shutdown.addEventListener('abort', () => feed.close())
  const tasks = new StartedTasks(id)
  try {
    for await (const { event, position } of feed.read(correlationid)) {
      if (!position || event.id === id) continue
      const whole = await bus.resolveIfStored(event)
      tasks.see(whole)
      if (event.type !== turnType)
        await print(json ? JSON.stringify({ event: whole }) : eventLine(whole, terminalWidth()))
      if (tasks.haveEnded) return
    }
  } catch (error) {
    if (!shutdown.aborted) throw error
    throw new TidingsError('E_RESULT_PENDING', `no task that the event started has ended within ${within}`, {
      next: `\`tidings trace ${correlationid}\` shows how far it is. If nothing started, no running app subscribes to this event.`,
    })
  } finally {
    feed.close()
  }
}
