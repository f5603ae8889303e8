import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import { parseId } from '../../src/bus/ids.ts'
import type { Turn } from '../../src/tasks/program.ts'

/** Faults of journals; every list must be empty. */
export interface Flaws {
  forks: string[]
  appliedTwice: string[]
  /** Calls of a finished task without an answer in its journal. */
  neverApplied: string[]
}

/** The faults that the log shows after the kills; every list must be empty. */
export interface Verdict extends Flaws {
  unfinished: string[]
  wrongResults: string[]
  startedTwice: string[]
  /** Numbers for which the workflow did not emit exactly one event with the right result. */
  unwatched: number[]
}

/** Reads the whole log and looks for faults. `expected`: correlation → input of the task. */
export async function verify(bus: Bus, home: string, expected: ReadonlyMap<string, number>): Promise<Verdict> {
  const turns = new Map<string, Turn[]>()
  const ended = new Map<string, CloudEvent[]>()
  const events = new Set<string>()
  const watched = new Map<number, number[]>()
  for await (const { event } of bus.read({})) {
    // A broker that does not store settlements and events atomically may store an event twice. Receivers are idempotent.
    const isRepeated = events.size === events.add(event.id).size
    if (event.type === 'task.turn') push(turns, parseId(event.id)!.task, event.data as Turn)
    else if (!isRepeated && (event.type === 'agent.task.completed' || event.type === 'agent.task.failed'))
      push(ended, event.correlationid, event)
    else if (!isRepeated && event.type === 'kill.watched') {
      const { n, more } = event.data as { n: number; more: number }
      push(watched, n, more)
    }
  }
  const isWatched = (n: number) => watched.get(n)?.length === 1 && watched.get(n)![0] === sumOf(n) + 1
  return {
    unfinished: [...expected.keys()].filter(correlation => !ended.has(correlation)),
    wrongResults: [...expected]
      .filter(([correlation, n]) => ended.has(correlation) && !isRight(ended.get(correlation)!, n))
      .map(([id]) => id),
    ...flawsOf(turns, events),
    startedTwice: repeated(chargesIn(home)),
    unwatched: [...expected.values()].filter(n => !isWatched(n)),
  }
}

/** `turns`: journals by task. `events`: all ids on the log. */
export const flawsOf = (turns: ReadonlyMap<string, Turn[]>, events: ReadonlySet<string>): Flaws => ({
  forks: [...turns].filter(([, journal]) => !isChain(journal) || !isWhole(journal, events)).map(([task]) => task),
  appliedTwice: [...turns.values()].flatMap(journal =>
    repeated(journal.flatMap(turn => turn.inputs.flatMap(input => input.call ?? []))),
  ),
  neverApplied: [...turns.values()].flatMap(unanswered),
})

/** The calls that started the tool which must not start twice. */
export function chargesIn(home: string): string[] {
  const file = join(home, 'charges')
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
}

export const isClean = (verdict: Verdict) =>
  [
    verdict.unfinished,
    verdict.wrongResults,
    verdict.forks,
    verdict.appliedTwice,
    verdict.neverApplied,
    verdict.startedTwice,
    verdict.unwatched,
  ].every(list => list.length === 0)

const sumOf = (n: number) => n + 1 + (n + 2) + 1

const isRight = (ends: CloudEvent[], n: number) =>
  ends.length === 1 &&
  ends[0]!.type === 'agent.task.completed' &&
  (ends[0]!.data as { output: { sum: number } }).output.sum === sumOf(n)

const isChain = (journal: Turn[]) => journal.every((turn, i) => turn.version === i + 1)

const isWhole = (journal: Turn[], events: ReadonlySet<string>) =>
  journal.every(turn => turn.emits.every(({ id }) => events.has(id)))

/** The agent awaits all of its calls, so a complete journal has no open one. */
function unanswered(journal: Turn[]): string[] {
  if (journal.at(-1)?.end !== 'completed') return []
  const answered = new Set(journal.flatMap(turn => turn.inputs.flatMap(input => input.call ?? [])))
  // The time limit of a workflow instance never fires when the instance ends earlier.
  return journal.flatMap(turn =>
    turn.emits.flatMap(({ id, wait }) => (wait && wait.key !== 'alarm' && !answered.has(id) ? [id] : [])),
  )
}

export function repeated(ids: readonly string[]): string[] {
  const seen = new Set<string>()
  return ids.filter(id => seen.size === seen.add(id).size)
}

export function push<K, T>(map: Map<K, T[]>, key: K, value: T) {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
