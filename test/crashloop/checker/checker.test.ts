import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Asked, Job } from '../asked.ts'
import { check, type Fault } from './rules.ts'
import { Tasks } from './tasks.ts'
import type { SetAside, WireEvent, WireTurn } from './wire.ts'

/* Logs that were written by hand, each with one fault: a checker that finds nothing must be able to find something. */

const correlation = '0199d3a1-0000-7000-8000-000000000000'
const task = `${correlation}.0000000001`
const minute = 60_000
const began = Date.parse('2026-01-01T00:00:00Z')

class Log {
  readonly tasks = new Tasks()
  #position = 0

  event(id: string, type: string, more: Partial<WireEvent> & { at?: number } = {}): this {
    const { at = began, ...rest } = more
    const time = new Date(at).toISOString()
    const event = { id, type, time, correlationid: correlation, tenant: 'default', data: null, ...rest }
    this.tasks.add({ position: ++this.#position, event })
    return this
  }

  /** A turn, and then its events. */
  turn(version: number, turn: Partial<WireTurn> & { of?: string; data?: unknown; without?: string } = {}): this {
    const { of = task, data, without, ...rest } = turn
    const whole: WireTurn = { program: 'p', version, at: began, inputs: [], emits: [], ...rest }
    this.event(`${of}:${String(version).padStart(7, '0')}`, 'task.turn', { data: whole })
    for (const { id, type } of whole.emits)
      if (id !== without) this.event(id, type, { data: type.startsWith('agent.task.') ? data : null })
    return this
  }
}

const input = (id: string, type: string, call?: string): WireEvent => ({
  id,
  type,
  time: '',
  correlationid: correlation,
  tenant: 'default',
  data: null,
  ...(call !== undefined && { call }),
})
const id = (version: number, ordinal: number, of = task) => `${of}:${String(version).padStart(7, '0')}:${ordinal}`
const timer = (version: number, until: number, ordinal = 0) => ({
  id: id(version, ordinal),
  type: 'timer.set',
  wait: { target: 'timer', until },
})
const call = (version: number, ordinal = 0) => ({
  id: id(version, ordinal),
  type: 'tool.invoke',
  wait: { target: 't', until: null },
})
const completed = (version: number, of = task) => ({ id: id(version, 9, of), type: 'agent.task.completed' })

const job: Job = { kind: 'job', id: 'start', sort: 'any', ends: [{ end: 'completed', output: 1 }] }

/** A job that was accepted and whose task has begun with a timer of a minute. */
const sleeping = () =>
  new Log().event('start', 'job').turn(1, { inputs: [input('start', 'job')], emits: [timer(1, began + minute)] })

/** The rest of it, as it must be. */
const woken = (log: Log) =>
  log.event(`${id(1, 0)}:fired`, 'timer.fired', { call: id(1, 0) }).turn(2, {
    inputs: [input(`${id(1, 0)}:fired`, 'timer.fired', id(1, 0))],
    emits: [completed(2)],
    end: 'completed',
    data: { output: 1 },
    at: began + minute,
  })

function found(log: Log, more: { jobs?: Job[]; accepted?: string[]; setAside?: SetAside[]; now?: number } = {}) {
  const { jobs = [job], accepted = ['start'], setAside = [], now = began + 60 * minute } = more
  const asked: Asked = { jobs, accepted: new Set(accepted) }
  return check({ asked, tasks: log.tasks, setAside, now }).map(({ fault, id: about }): [Fault, string] => [
    fault,
    about,
  ])
}

describe('the checker of the crash loop', () => {
  it('finds nothing in a log that is right', () => {
    expect(found(woken(sleeping()))).toEqual([])
  })

  it('finds an event that was acknowledged and is not there', () => {
    expect(found(new Log())).toEqual([['lost event', 'start']])
    expect(found(new Log(), { accepted: [] })).toEqual([])
  })

  it('finds a job without a result', () => {
    expect(found(new Log().event('start', 'job'))).toEqual([['not started', 'start']])
  })

  it('finds a timer that did not fire, also if a later turn kept it', () => {
    expect(found(sleeping())).toEqual([['lost timer', task]])
    const later = sleeping().turn(2, { inputs: [input('other', 'x')] })
    expect(found(later)).toEqual([['lost timer', task]])
  })

  it('finds a task that waits for an answer that is there, and one whose time has not come', () => {
    const log = new Log().event('start', 'job').turn(1, { inputs: [input('start', 'job')], emits: [call(1)] })
    expect(found(log.event(`${id(1, 0)}:result`, 'tool.result', { call: id(1, 0) }))).toEqual([['wedged task', task]])
    expect(found(sleeping(), { now: began })).toEqual([['wedged task', task]])
  })

  it('finds a task that ended with something else', () => {
    const other: Job = {
      ...job,
      ends: [
        { end: 'completed', output: 2 },
        { end: 'failed', code: 'E_X' },
      ],
    }
    expect(found(woken(sleeping()), { jobs: [other] })).toEqual([['wrong end', task]])
    const failing: Job = { ...job, ends: [{ end: 'failed', code: 'E_X' }] }
    const fails = (code: string) =>
      new Log().event('start', 'job').turn(1, {
        inputs: [input('start', 'job')],
        emits: [{ id: id(1, 0), type: 'agent.task.failed' }],
        end: 'failed',
        data: { error: { code } },
      })
    expect(found(fails('E_X'), { jobs: [failing] })).toEqual([])
    expect(found(fails('E_Y'), { jobs: [failing] })).toEqual([['wrong end', task]])
  })

  describe('of cancels', () => {
    const cancel = (log: Log, at = began) => log.event('cancel', 'agent.cancel', { subject: task, at })
    const jobs: Job[] = [{ ...job, ends: [{ end: 'cancelled' }, { end: 'completed', output: 1 }] }]

    it('finds one of a task that sleeps on', () => {
      expect(found(cancel(sleeping()), { jobs, now: began })).toEqual([
        ['wedged task', task],
        ['cancel without effect', task],
      ])
    })

    it('finds one of a task that ended by itself long after', () => {
      expect(found(woken(cancel(sleeping())), { jobs })).toEqual([['cancel without effect', task]])
    })

    it('accepts a task that was cancelled, had ended before, or ended at the same time', () => {
      const end = { id: id(2, 0), type: 'agent.task.cancelled' }
      const cancelled = cancel(sleeping()).turn(2, {
        inputs: [input('cancel', 'agent.cancel')],
        emits: [end],
        end: 'cancelled',
      })
      expect(found(cancelled, { jobs })).toEqual([])
      expect(found(cancel(woken(sleeping())), { jobs })).toEqual([])
      expect(found(woken(cancel(sleeping(), began + minute)), { jobs })).toEqual([])
    })

    it('knows a task that was cancelled before it took the event that starts it', () => {
      const cancelled = (of: string) =>
        cancel(new Log().event('start', 'job')).turn(1, {
          of,
          inputs: [input('cancel', 'agent.cancel')],
          end: 'cancelled',
        })
      const named: Job[] = [{ ...jobs[0]!, task }]
      expect(found(cancelled(task), { jobs: named })).toEqual([])
      expect(found(cancelled(`${correlation}.0000000003`), { jobs: named })).toEqual([['not started', 'start']])
    })

    it('follows a task that goes on as another one', () => {
      // Of the program p and the event that starts it.
      const next = `${correlation}.1obpccn9r7`
      const goOn = { id: id(1, 0), type: 'agent.invoke' }
      const chain = () =>
        cancel(
          new Log().event('start', 'job').turn(1, { inputs: [input('start', 'job')], emits: [goOn], end: 'continued' }),
        )
      const taken = { of: next, inputs: [input(goOn.id, 'agent.invoke')] }
      const endedAt = (at: number) =>
        found(chain().turn(1, { ...taken, at, emits: [completed(1, next)], end: 'completed', data: { output: 1 } }), {
          jobs,
        })
      expect(endedAt(began + minute)).toEqual([['cancel without effect', task]])
      expect(endedAt(began)).toEqual([])
      const end = { id: id(1, 9, next), type: 'agent.task.cancelled' }
      expect(found(chain().turn(1, { ...taken, emits: [end], end: 'cancelled' }), { jobs })).toEqual([])
    })
  })

  it('finds what was parked or given up, and mismatches wherever they are', () => {
    const of = (setAside: SetAside[], jobs = [job]) => found(woken(sleeping()), { setAside, jobs })
    expect(of([{ state: 'parked', reason: 'E_EVENT_TOO_LARGE: …', event: 'e' }])).toEqual([['set aside', 'e']])
    expect(of([{ state: 'dead', reason: 'E_PROGRAM_MISMATCH: …', event: 'e' }])).toEqual([['false mismatch', 'e']])
    expect(of([{ state: 'delayed', reason: 'later', event: 'e' }])).toEqual([])
    expect(of([{ state: 'dead', reason: 'E_WORKER_LOST: …', event: 'e' }])).toEqual([])
    // Of a job with a budget it was asked for.
    const spent = { state: 'dead', reason: 'E_BUDGET_EXCEEDED: …', event: `${correlation}.x` }
    expect(of([spent])).toEqual([['set aside', spent.event]])
    expect(of([spent], [{ ...job, budget: 9 }])).toEqual([])
    const failed = { error: { code: 'E_PROGRAM_MISMATCH' } }
    expect(found(woken(sleeping()).event('f', 'agent.task.failed', { data: failed }))).toEqual([
      ['false mismatch', 'f'],
    ])
  })

  it('finds more calls than a budget and one turn, over all tasks of a correlation', () => {
    const calls = [0, 1].map(ordinal => call(2, ordinal))
    const log = () => woken(sleeping()).turn(1, { of: `${correlation}.0000000002`, emits: calls, end: 'completed' })
    expect(
      found(log().turn(1, { of: `${correlation}.0000000003`, emits: [call(3)], end: 'completed' }), {
        jobs: [{ ...job, budget: 0 }],
      }),
    ).toEqual([['budget exceeded', correlation]])
    expect(found(log(), { jobs: [{ ...job, budget: 0 }] })).toEqual([])
  })

  it('finds journals that fork, have gaps, or go on after their end', () => {
    expect(found(woken(sleeping()).turn(2, { end: 'completed' }))).toContainEqual(['forked journal', task])
    expect(found(woken(sleeping().turn(3)))).toContainEqual(['forked journal', task])
    expect(found(woken(sleeping()).turn(3, { end: 'completed' }))).toContainEqual(['forked journal', task])
  })

  it('finds a turn whose event is not on the log', () => {
    const log = new Log().event('start', 'job').turn(1, {
      inputs: [input('start', 'job')],
      emits: [{ id: id(1, 0), type: 'x' }, completed(1)],
      end: 'completed',
      data: { output: 1 },
      without: id(1, 0),
    })
    expect(found(log)).toEqual([['missing event', task]])
  })

  it('finds a call with two answers, and one that was applied twice', () => {
    const other = `${id(1, 0)}:result`
    expect(found(woken(sleeping()).event(other, 'tool.result', { call: id(1, 0) }))).toEqual([
      ['answered twice', id(1, 0)],
    ])
    const twice = sleeping().turn(2, { inputs: [input(`${id(1, 0)}:fired`, 'timer.fired', id(1, 0))] })
    expect(
      found(twice.turn(3, { inputs: [input(`${id(1, 0)}:fired`, 'timer.fired', id(1, 0))], end: 'cancelled' })),
    ).toContainEqual(['applied twice', task])
    // An answer that comes after the wait was over changes nothing.
    expect(found(woken(sleeping()).event('late', 'call.expired', { call: id(1, 0) }))).toEqual([])
    // The same answer, stored again by a broker that forgot its id, is one.
    expect(found(woken(sleeping()).event(`${id(1, 0)}:fired`, 'timer.fired', { call: id(1, 0) }))).toEqual([])
  })

  it('shares no code with the engine', () => {
    const files = new Set(
      globSync('*.ts', { cwd: import.meta.dirname })
        .filter(name => !name.endsWith('.test.ts'))
        .map(name => join(import.meta.dirname, name)),
    )
    const imports: string[] = []
    for (const file of files)
      for (const [, path] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']*)'/g)) {
        const imported = join(dirname(file), path!)
        imports.push(imported)
        files.add(imported)
      }
    expect(imports.length).toBeGreaterThan(3)
    expect(imports.filter(path => path.includes('/src/'))).toEqual([])
  })
})
