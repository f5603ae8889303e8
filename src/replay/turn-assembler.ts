import type { Position } from '../bus/driver.ts'
import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import type { RecordedTurn, Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/** A turn as stored on the log. */
export interface LoggedTurn extends RecordedTurn {
  readonly task: string
  readonly position: Position
}

interface IncompleteTurns {
  next: number
  readonly turns: Map<number, { turn: Turn; position: Position }>
  /** Emitted events of incomplete turns, by id. */
  readonly events: Map<string, CloudEvent>
}

/** The task whose turn or emitted event this is; undefined for events that replay does not use. */
export function replayedTaskOf({ id, type }: CloudEvent): string | undefined {
  const parsed = parseId(id)
  if (!parsed) return undefined
  if (parsed.ordinal === undefined) return type === turnType ? parsed.task : undefined
  return parsed.suffix === undefined || parsed.suffix === 'cancel' ? parsed.task : undefined
}

/** Assembles turns with what they emitted, in the order of each task, from events in any order. Keeps only incomplete turns. */
export class TurnAssembler {
  readonly #histories = new Map<string, IncompleteTurns>()

  add(task: string, position: Position, event: CloudEvent): LoggedTurn[] {
    const history = this.#of(task)
    if (event.type === turnType) {
      const turn = event.data as Turn
      history.turns.set(turn.version, { turn, position })
    } else history.events.set(event.id, event)
    return [...this.#complete(task, history)]
  }

  /** Continues the task after this version, as a snapshot does. */
  skipTo(task: string, version: number): void {
    this.#of(task).next = version + 1
  }

  /** Tasks with turns that cannot be replayed because an earlier turn or an emitted event is missing. */
  get incomplete(): { task: string; turn: number }[] {
    return [...this.#histories]
      .filter(([, { turns }]) => turns.size > 0)
      .map(([task, { next }]) => ({ task, turn: next }))
      .toSorted((a, b) => (a.task < b.task ? -1 : 1))
  }

  #of(task: string): IncompleteTurns {
    let history = this.#histories.get(task)
    if (!history) this.#histories.set(task, (history = { next: 1, turns: new Map(), events: new Map() }))
    return history
  }

  *#complete(task: string, history: IncompleteTurns): Generator<LoggedTurn> {
    for (;;) {
      const found = history.turns.get(history.next)
      if (!found || !found.turn.emits.every(({ id }) => history.events.has(id))) return
      const { turn, position } = found
      const emitted = turn.emits.map(({ id }) => history.events.get(id)!)
      history.turns.delete(history.next++)
      for (const { id } of turn.emits) history.events.delete(id)
      if (turn.end) this.#histories.delete(task)
      yield { task, position, turn, emitted }
    }
  }
}
