import { TidingsError, textOf } from '../../errors.ts'
import { log as logger } from '../../bus/telemetry/log.ts'
import type { OpenTurn } from './checkpoint.ts'
import type { StoredMessage } from './stored-message.ts'
import type { Stream } from './stream.ts'
import { taskOf, turnHeaders, type Turns } from './turns.ts'

/** A turn whose body was not read yet. */
interface CountedTurn {
  readonly seq: number
  /** How many of its events were not read. */
  left: number
}

const readAtOnce = 64

/**
 * Finds turns whose events are missing from the log, while a shard is read in order. Most events have an id that names their turn,
 * so counting them is enough. Only what is left is looked up in the body of the turn.
 */
export class UnfinishedTurns {
  readonly #stream: Stream
  readonly #turns: Turns
  /** By the id of the turn: its body was not read yet. */
  #counted = new Map<string, CountedTurn>()
  /** Ids of events since the bodies were read last: their turns are among the counted ones. */
  #seen = new Set<string>()
  /** The sequence of the turn, by the id of its missing event. */
  readonly #missing = new Map<string, number>()

  /** `stream`: of the shard. */
  constructor(stream: Stream, turns: Turns, open: readonly OpenTurn[]) {
    this.#stream = stream
    this.#turns = turns
    for (const [seq, missing] of open) this.#expect(seq, missing)
  }

  add({ seq, subject, header }: StoredMessage): void {
    const left = Number(header(turnHeaders.events)) || 0
    if (left > 0) this.#counted.set(`${taskOf(subject)}:${header(turnHeaders.version).padStart(7, '0')}`, { seq, left })
  }

  published(id: string): void {
    if (this.#missing.delete(id)) return
    if (this.#counted.size === 0 || this.#seen.has(id)) return
    this.#seen.add(id)
    // TURN:ORDINAL only: the answer of a call, TURN:ORDINAL:result, is not an event of that turn.
    const turn = id.slice(0, id.lastIndexOf(':'))
    const counted = this.#counted.get(turn)
    if (counted && --counted.left === 0) this.#counted.delete(turn)
  }

  /** Looks up which events the counted turns have. */
  async examine(): Promise<void> {
    const counted = [...this.#counted.values()]
    for (let i = 0; i < counted.length; i += readAtOnce)
      await Promise.all(
        counted.slice(i, i + readAtOnce).map(async ({ seq }) => {
          const ids = await this.#eventsOf(seq)
          this.#expect(
            seq,
            ids.filter(id => !this.#seen.has(id)),
          )
        }),
      )
    this.#counted = new Map()
    this.#seen = new Set()
  }

  /** Turns with missing events, as far as they were examined. */
  get open(): OpenTurn[] {
    const byTurn = new Map<number, string[]>()
    for (const [id, seq] of this.#missing) {
      const ids = byTurn.get(seq)
      if (ids) ids.push(id)
      else byTurn.set(seq, [id])
    }
    return [...byTurn]
  }

  #expect(seq: number, missing: readonly string[]): void {
    for (const id of missing) this.#missing.set(id, seq)
  }

  async #eventsOf(seq: number): Promise<string[]> {
    const stored = await this.#stream.at(seq)
    if (!stored) return []
    try {
      return (await this.#turns.read(stored)).events.map(({ event }) => event.id)
    } catch (error) {
      skipUnreadableTurn(stored, error)
      return []
    }
  }
}

/** Logs that a turn cannot be read, which must not block the others. @throws `error` if it is about the log and not about the turn */
export function skipUnreadableTurn({ subject }: StoredMessage, error: unknown): void {
  if (error instanceof TidingsError && (error.retryable || error.code === 'E_BUS_CLOSED')) throw error
  logger.error?.(
    { task: taskOf(subject) },
    `cannot read the events of a turn, so they are not repaired: ${textOf(error)}`,
  )
}
