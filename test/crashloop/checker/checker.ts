import { setTimeout } from 'node:timers/promises'
import { readAsked } from '../asked.ts'
import { readNats } from './read-nats.ts'
import { readSqlite } from './read-sqlite.ts'
import { check, type Finding, overtaken } from './rules.ts'
import { Tasks } from './tasks.ts'

/*
 * An independent reading of a log: what is on it, against what was asked for. It shares no code with the engine.
 */

export interface Verdict {
  findings: Finding[]
  counts: Record<string, number>
}

export interface Log {
  /** Home folder of an embedded log. */
  home: string
  /** Address of a log on a server, in place of the folder. */
  address: string | undefined
  /** The file of what was asked for. */
  asked: string
}

/**
 * Reads until every task has ended, or nothing has come for `quietMs`, or `mostMs` are over; then checks what it has read.
 */
export async function verdictOf(
  { home, address, asked: file }: Log,
  { quietMs, mostMs, onProgress }: { quietMs: number; mostMs: number; onProgress?(text: string): void },
): Promise<Verdict> {
  const reader = address === undefined ? readSqlite(home) : await readNats(address)
  const asked = readAsked(file)
  const tasks = new Tasks()
  try {
    const begin = Date.now()
    let changedAt = begin
    for (;;) {
      for await (const logged of reader.unread()) {
        tasks.add(logged)
        changedAt = Date.now()
      }
      const notStarted = asked.jobs.filter(({ id }) => !tasks.takers.has(id)).length
      const unfinished = tasks.live().length + tasks.missing().length + notStarted
      onProgress?.(`${unfinished} unfinished, ${tasks.positions.size} events`)
      if (unfinished === 0 || Date.now() - changedAt > quietMs || Date.now() - begin > mostMs) break
      await setTimeout(500)
    }
    const findings = check({ asked, tasks, setAside: await reader.setAside(), now: Date.now() })
    return {
      findings,
      counts: countsOf(
        tasks,
        asked.jobs.map(({ sort }) => sort),
      ),
    }
  } finally {
    await reader.close()
  }
}

function countsOf(tasks: Tasks, sorts: readonly string[]): Record<string, number> {
  const turns = [...tasks.journals.values()].flat()
  const fired = turns.flatMap(({ at, inputs }) =>
    inputs.flatMap(({ type, call }) => (type === 'timer.fired' ? [at - tasks.dueOf(call!)!] : [])),
  )
  const bySort = Object.groupBy(sorts, sort => sort)
  return {
    events: tasks.positions.size,
    tasks: tasks.journals.size,
    turns: turns.length,
    'seconds since the last turn': Math.round(
      (Date.now() - turns.reduce((last, { at }) => Math.max(last, at), 0)) / 1_000,
    ),
    'largest turn, in inputs': turns.reduce((most, { inputs }) => Math.max(most, inputs.length), 0),
    'timers that went off': fired.length,
    'timers more than 30 s late': fired.filter(late => late > 30_000).length,
    cancels: tasks.cancels.length,
    'cancels of tasks that ended by themselves': overtaken(tasks),
    ...Object.fromEntries(Object.entries(bySort).map(([sort, list]) => [`jobs: ${sort}`, list!.length])),
  }
}
