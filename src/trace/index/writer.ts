import type { DatabaseSync } from 'node:sqlite'
import { turnId } from '../../bus/ids.ts'
import { sqlFor } from '../../bus/sql.ts'
import type { Turn } from '../../tasks/program.ts'
import { splitId, type IndexEntry, type IdParts, type ModelAnswer } from './entry.ts'

interface Correlation {
  key: number
  id: string
  tenant: number
  first: number
  last: number
  at: number
  events: number
  failedCalls: number
  tokens: number
  cost: number
}

interface Task {
  key: number
  correlation: number
  hash: string
  program: number | null
  version: number | null
  code: string | null
  turns: number
  last: number
  started: number | null
  at: number | null
  end: string | null
  retried: number
  tenant: number
  tokens: number
  cost: number
  problem: number | null
}

/** Open calls of a live task, by the part of their id after the task. */
interface Calls {
  readonly open: Map<string, { target: number; answered: number }>
  readonly stored: number
  changed: boolean
}

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    event: sql('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    words: sql('INSERT INTO words(rowid, text) VALUES (?, ?)'),
    fail: sql('INSERT OR IGNORE INTO failures VALUES (?, ?, ?)'),
    settle: sql('DELETE FROM failures WHERE task = ?'),
    findName: sql<{ key: number }>('SELECT key FROM names WHERE name = ?'),
    addName: sql('INSERT INTO names VALUES (?, ?)'),
    findCorrelation: sql<Correlation>('SELECT * FROM correlations WHERE id = ?'),
    putCorrelation: sql(`INSERT OR REPLACE INTO correlations
      VALUES ($key, $id, $tenant, $first, $last, $at, $events, $failedCalls, $tokens, $cost)`),
    findTask: sql<Task>('SELECT * FROM tasks WHERE correlation = ? AND hash = ?'),
    putTask: sql(`INSERT OR REPLACE INTO tasks
      VALUES ($key, $correlation, $hash, $program, $version, $code, $turns, $last, $started, $at, $end, $retried, $tenant, $tokens, $cost,
        $problem)`),
    findCalls: sql<{ name: string; target: number; answered: number }>(
      'SELECT name, target, answered FROM calls WHERE task = ?',
    ),
    dropCalls: sql('DELETE FROM calls WHERE task = ?'),
    putCall: sql('INSERT INTO calls VALUES (?, ?, ?, ?)'),
    use: sql(`INSERT INTO usage
      VALUES ($hour, $tenant, $program, $model, $correlation, 1, $failed, $input, $output, $cached, $reasoning, $cost)
      ON CONFLICT DO UPDATE SET calls = calls + 1, failed = failed + excluded.failed, input = input + excluded.input,
        output = output + excluded.output, cached = cached + excluded.cached, reasoning = reasoning + excluded.reasoning,
        cost = cost + excluded.cost`),
    nextKey: (table: string) =>
      sql<{ next: number }>(`SELECT ifnull(max(key), 0) + 1 AS next FROM ${table}`).get()!.next,
  }
}

/**
 * Folds entries into the tables, those of a correlation in the order of the log. Reads each touched row once and writes it once,
 * with `flush`, in one transaction. The result depends only on the events of a correlation and their order, not on batches or other
 * correlations.
 */
export class IndexWriter {
  readonly #sql: ReturnType<typeof statementsFor>
  readonly #names = new Map<string, number>()
  #correlations = new Map<string, Correlation>()
  #tasks = new Map<string, Task>()
  #calls = new Map<number, Calls>()
  #nextName: number
  #nextCorrelation: number
  #nextTask: number

  /** Create it within a transaction and use it for that transaction only. */
  constructor(db: DatabaseSync) {
    this.#sql = statementsFor(db)
    this.#nextName = this.#sql.nextKey('names')
    this.#nextCorrelation = this.#sql.nextKey('correlations')
    this.#nextTask = this.#sql.nextKey('tasks')
  }

  add(entry: IndexEntry): void {
    const {
      pos,
      id,
      type,
      time,
      user,
      idParts: place,
      turn,
      answers,
      failed,
      failedCall,
      settles,
      problem,
      tokens,
      cost,
      words,
    } = entry
    const tenant = this.#nameKey(entry.tenant)
    const correlation = this.#correlation(entry)
    correlation.events++
    if (failedCall) correlation.failedCalls++
    correlation.last = pos
    correlation.at = time
    correlation.tokens += tokens
    correlation.cost += cost
    const task = place && this.#task(correlation.key, place, pos, tenant)
    if (task && turn) this.#turn(task, turn, correlation.id)
    if (answers) this.#answered(correlation.key, answers)
    if (task) {
      task.tokens += tokens
      task.cost += cost
      if (problem !== undefined) task.problem = this.#nameKey(problem)
    }
    if (entry.answer)
      this.#use(entry.answer, { time, tenant, correlation: correlation.key, program: task?.program ?? 0 })
    if (failed && task) this.#sql.fail.run(task.key, pos, time)
    if (settles) this.#sql.settle.run(this.#known(correlation.key, settles)?.key ?? null)
    const keys = [tenant, user === undefined ? null : this.#nameKey(user), this.#nameKey(entry.source)]
    const about = [pos, correlation.key, task?.key ?? null, place?.name ?? id, this.#nameKey(type), time]
    this.#sql.event.run(...about, ...keys)
    if (words !== '') this.#sql.words.run(pos, words)
  }

  flush(): void {
    for (const correlation of this.#correlations.values()) this.#sql.putCorrelation.run(correlation)
    for (const task of this.#tasks.values()) this.#sql.putTask.run(task)
    for (const [task, { open, stored, changed }] of this.#calls) {
      if (!changed) continue
      if (stored > 0) this.#sql.dropCalls.run(task)
      for (const [name, { target, answered }] of open) this.#sql.putCall.run(task, name, target, answered)
    }
  }

  /** Folds a turn like `Task.advance`. */
  #turn(task: Task, turn: Turn, correlation: string): void {
    task.program = this.#nameKey(turn.program)
    task.version = turn.programVersion
    task.code = turn.programHash
    task.turns++
    task.started ??= turn.at
    task.at = turn.at
    task.end = turn.end ?? task.end
    const before = typeof turn.retryOf === 'string' ? splitId(turnId(turn.retryOf, 1), correlation) : undefined
    const failed = before && this.#known(task.correlation, before)
    if (failed) failed.retried = 1
    const calls = this.#callsOf(task.key)
    for (const call of [...turn.inputs.map(input => input.call), ...(turn.withdrawn ?? [])]) {
      const place = call === undefined ? undefined : splitId(call, correlation)
      if (place?.hash === task.hash && calls.open.delete(place.name)) calls.changed = true
    }
    for (const { id, wait } of task.end ? [] : turn.emits) {
      const place = wait && splitId(id, correlation)
      if (place?.hash !== task.hash) continue
      calls.open.set(place.name, { target: this.#nameKey(wait!.target), answered: 0 })
      calls.changed = true
    }
    if (!task.end || calls.open.size === 0) return
    calls.open.clear()
    calls.changed = true
  }

  /** Records an answer that no turn has taken yet, so the task counts as running. */
  #answered(correlation: number, { hash, name }: IdParts): void {
    const task = this.#known(correlation, { hash })
    if (!task || task.end) return
    const calls = this.#callsOf(task.key)
    const call = calls.open.get(name)
    if (!call || call.answered) return
    call.answered = 1
    calls.changed = true
  }

  #correlation({ correlation: id, pos, time, tenant }: IndexEntry): Correlation {
    let known = this.#correlations.get(id)
    if (!known) {
      known = this.#sql.findCorrelation.get(id) ?? {
        key: this.#nextCorrelation++,
        id,
        tenant: this.#nameKey(tenant),
        first: pos,
        last: pos,
        at: time,
        events: 0,
        failedCalls: 0,
        tokens: 0,
        cost: 0,
      }
      this.#correlations.set(id, known)
    }
    return known
  }

  #known(correlation: number, { hash }: Pick<IdParts, 'hash'>): Task | undefined {
    const id = `${correlation} ${hash}`
    const known = this.#tasks.get(id) ?? this.#sql.findTask.get(correlation, hash)
    if (known) this.#tasks.set(id, known)
    return known
  }

  #task(correlation: number, { hash }: IdParts, pos: number, tenant: number): Task {
    let known = this.#known(correlation, { hash })
    if (!known) {
      known = {
        key: this.#nextTask++,
        correlation,
        hash,
        program: null,
        version: null,
        code: null,
        turns: 0,
        last: 0,
        started: null,
        at: null,
        end: null,
        retried: 0,
        tenant,
        tokens: 0,
        cost: 0,
        problem: null,
      }
      this.#tasks.set(`${correlation} ${hash}`, known)
    }
    known.last = pos
    return known
  }

  #callsOf(task: number): Calls {
    let calls = this.#calls.get(task)
    if (!calls) {
      const open = new Map(this.#sql.findCalls.all(task).map(({ name, ...call }) => [name, call]))
      this.#calls.set(task, (calls = { open, stored: open.size, changed: false }))
    }
    return calls
  }

  #use(
    { model, failed, ...amounts }: ModelAnswer,
    about: { time: number; tenant: number; correlation: number; program: number },
  ) {
    const { time, ...keys } = about
    const hour = Math.floor(time / 3_600_000)
    this.#sql.use.run({ ...amounts, ...keys, hour, model: this.#nameKey(model), failed: failed ? 1 : 0 })
  }

  /** The key of a type, program, tenant and so on. */
  #nameKey(name: string): number {
    let key = this.#names.get(name)
    if (key !== undefined) return key
    key = this.#sql.findName.get(name)?.key
    if (key === undefined) this.#sql.addName.run((key = this.#nextName++), name)
    this.#names.set(name, key)
    return key
  }
}
