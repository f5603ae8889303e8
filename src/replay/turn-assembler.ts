import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import type { RecordedTurn, Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/** A turn as it lies on the log. */
export interface LoggedTurn extends RecordedTurn {
  readonly task: string
  /** Position of the turn in the log. */
  readonly position: number
}

interface IncompleteTurns {
  /** The version that is waited for. */
  next: number
  readonly turns: Map<number, { turn: Turn; position: number }>
  /** What was emitted and whose turn is not complete, by id. */
  readonly events: Map<string, CloudEvent>
}

/** The task whose turn or emission this is; undefined for what replay has no use for. */
export function replayedTaskOf({ id, type }: CloudEvent): string | undefined {
  const parsed = parseId(id)
  if (!parsed) return undefined
  if (parsed.ordinal === undefined) return type === turnType ? parsed.task : undefined
  return parsed.suffix === undefined || parsed.suffix === 'cancel' ? parsed.task : undefined
}

/**
 * Puts turns together from the events of a log, in the order of each task. An event may come before its turn or after it;
 * what is kept is bounded by the turns that are not complete.
 */
export class TurnAssembler {
  readonly #histories = new Map<string, IncompleteTurns>()

  /** The turns of this task that are complete now. */
  add(task: string, position: number, event: CloudEvent): LoggedTurn[] {
    const history = this.#of(task)
    if (event.type === turnType) {
      const turn = event.data as Turn
      history.turns.set(turn.version, { turn, position })
    } else history.events.set(event.id, event)
    return [...this.#complete(task, history)]
  }

  /** The task is known up to this version: what comes first is the next one. */
  skipTo(task: string, version: number): void {
    this.#of(task).next = version + 1
  }

  /** Tasks with turns that cannot be replayed: something before them, or of them, is not there. */
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
      yield { task, position, turn, inputs: turn.inputs, emitted }
    }
  }
}
