import { failure, TidingsError, type ErrorData } from '../errors.ts'
import { approvalRequest } from '../tasks/approval.ts'
import { deadlineFrom, milliseconds } from '../tasks/duration.ts'
import type { CallOutcome } from '../tasks/outcome.ts'
import { callCommand, cancelOpenCalls } from './calls.ts'
import type { CompiledWorkflow, Instruction } from './compile.ts'
import type { Expression } from './definition.ts'
import { nextDeadline, hasPassed, parseMoment } from './deadline.ts'
import { afterUndo, completeWith, endAs, failWith, lateCommand, recordUndo } from './ending.ts'
import { asText, evaluate, holds } from './evaluate.ts'
import { keepEarly, toReceivedEvent, hasSeen, takeEarly, markSeen } from './received-events.ts'
import { callFor, fanItems, joinResults, outputsByName, maxConcurrentCalls, type FanStep } from './fan.ts'
import {
  mayAccept, startAbsences, captures, expireAbsences, acceptEvent, acceptedEvents, patternState, type ReceivedEvent,
} from './match.ts' // biome-ignore format: one list
import {
  isKeptWhenRefused, type Command, type InstanceEnding, type InstanceState, type WaitState,
} from './state.ts' // biome-ignore format: one list

/*
 * One instance as pure state transitions. An event is taken by the step that waits for it, kept for a later step, or late. Then the
 * instance advances until it waits again:
 *
 *     receive ─┬─ taken ─▶ the pattern holds ─▶ the next steps, up to one that waits
 *              ├─ kept                             (a later part of the pattern, or a later step, may take it)
 *              ├─ late: emits `workflow.late`      (no step can take it any more)
 *              └─ seen before: no effect
 *
 * Effects are collected in `commands`. The time of the turn is passed in as an argument.
 */

// A loop that does not wait must end within this number of rounds.
const maxIdleRounds = 1_000

type FanWait = Extract<WaitState, { kind: 'fan' }>

export class Instance {
  readonly state: InstanceState
  readonly code: CompiledWorkflow
  commands: Command[] = []
  #index: number
  #idleRounds = 0

  /** @throws E_PROGRAM_MISMATCH if the definition does not have the current step */
  constructor(code: CompiledWorkflow, state: InstanceState = { scope: {} }) {
    this.code = code
    this.state = state
    const index = state.at === undefined ? 0 : code.indexOf(state.at)
    if (index === undefined)
      throw new TidingsError(
        'E_PROGRAM_MISMATCH',
        `workflow "${code.definition.name}" no longer has the step "${state.at}"`,
      )
    this.#index = index
  }

  /** An event from outside or from another task. */
  receive(event: ReceivedEvent, now: number): void {
    this.#ensureStarted(now)
    const { state } = this
    if (hasSeen(state, event.id)) return
    markSeen(state, event.id)
    const here = this.#instruction
    const isOver = state.ended === true || state.ending !== undefined
    if (!isOver && here?.op === 'when' && acceptEvent(here.node, this.#whenWait, toReceivedEvent(event), state.scope))
      this.#checkPattern(now, false)
    else if (isOver || !this.#isExpected(event) || !keepEarly(state, toReceivedEvent(event)))
      this.commands.push(lateCommand(event, state.at))
    this.#emitLate()
  }

  /** Starts the instance with the input of a call instead of an event. */
  start(input: unknown, now: number): void {
    this.#ensureStarted(now)
    this.state.scope.event = input
    this.#advance(0, now)
  }

  answer(call: string, result: CallOutcome, now: number): void {
    const slot = this.state.open?.[call]
    if (slot === undefined) return
    this.#ensureStarted(now)
    delete this.state.open![call]
    const here = this.#instruction
    if (slot === 'undo') afterUndo(this, result)
    else if (here?.op === 'fan') {
      const wait = this.state.wait as FanWait
      wait.results[slot as number] = result
      this.#joinResults(here.step, wait, now)
    } else if (here?.op === 'call' || here?.op === 'approve') {
      if ('error' in result) this.#failStep(result.error, now)
      else {
        this.state.scope[here.step.as] = result.output
        if (here.op === 'call') recordUndo(this, here.step)
        this.#advance(this.#index + 1, now)
      }
    }
    this.#emitLate()
  }

  /** A timer has fired: the time is at least `now`. */
  tick(now: number): void {
    const { state } = this
    if (state.ended || state.ending) return
    this.#ensureStarted(now)
    const { wait } = state
    const here = this.#instruction
    if (wait?.kind === 'when' && here?.op === 'when') {
      this.#checkPattern(now, true)
      if (state.wait === wait && hasPassed(deadlineFrom(wait.since, here.step.within), now))
        if (this.#hasStarted || here.failed !== undefined)
          this.#failStep(
            failure('E_WORKFLOW_EXPIRED', `${here.step.id}: the events that it waits for did not arrive in time`),
            now,
          )
        else this.#expire()
    } else if (wait?.kind === 'wait' && wait.until <= now) this.#advance(this.#index + 1, now)
    else if (wait?.kind === 'approve' && wait.remindAt !== undefined && wait.remindAt <= now) this.#remind(wait, now)
    if (!state.ended && !state.ending && hasPassed(state.ends ?? null, now)) this.#expire()
    this.#emitLate()
  }

  get deadline(): number | undefined {
    return nextDeadline(this.state, this.#instruction)
  }

  /** Undoes the completed steps that can be undone, then ends. */
  end(as: InstanceEnding): void {
    endAs(this, as)
  }

  /** Drops the commands of this turn except those that undo or end, and fails the instance. */
  refuse(error: ErrorData): void {
    const { state } = this
    this.commands = this.commands.filter(isKeptWhenRefused)
    if (state.ending) return
    delete state.ended
    this.end({ error })
  }

  get #instruction(): Instruction | undefined {
    return this.code.instructions[this.#index]
  }

  get #whenWait() {
    return this.state.wait as Extract<WaitState, { kind: 'when' }>
  }

  get #hasStarted() {
    return this.#index > 0 || this.#instruction?.op !== 'when' || acceptedEvents(this.#whenWait).length > 0
  }

  /** Sets the deadline and enters the first step when the first input arrives. */
  #ensureStarted(now: number) {
    this.#idleRounds = 0
    if (this.state.ends !== undefined) return
    const { within } = this.code
    this.state.ends = within === null ? null : now + within
    if (this.#instruction?.op === 'when') this.#advance(this.#index, now)
  }

  /** Runs from an instruction up to the next one that waits. */
  #advance(to: number, now: number): void {
    const { state } = this
    this.#index = to
    delete state.wait
    for (;;) {
      const here = this.#instruction
      if (!here) return completeWith(this, null)
      if ('step' in here) state.at = here.step.id
      switch (here.op) {
        case 'when':
          state.wait = { kind: 'when', since: now }
          return this.#checkPattern(now, false)
        case 'call':
          state.wait = { kind: 'call' }
          this.commands.push(callCommand('call', here.step.target, this.#evaluate(here.step.input), here.step.within))
          return
        case 'fan':
          return this.#fanOut(here.step, now)
        case 'approve': {
          const { as: name, who, what, within, remind } = here.step
          const request = approvalRequest(name, { input: this.#evaluate(what) }, { ...(who && { approvers: who }) })
          state.wait = { kind: 'approve', ...(remind !== undefined && { remindAt: now + milliseconds(remind) }) }
          this.commands.push({ kind: 'call', slot: 'call', ...request, within })
          return
        }
        case 'emit': {
          const { type, target, data } = here.step
          const to = target !== undefined && { target }
          this.commands.push({ kind: 'emit', type, ...to, data: this.#evaluate(data) })
          this.#index++
          break
        }
        case 'wait': {
          const until = 'after' in here.step.until ? now + milliseconds(here.step.until.after) : parseMoment(this.#evaluate(here.step.until.moment)) // biome-ignore format: one choice
          if (Number.isNaN(until))
            return failWith(
              this,
              'E_WORKFLOW_VALUE',
              `${here.step.id}: the time is not valid: expected RFC 3339 or ms since the epoch`,
            )
          if (until > now) {
            state.wait = { kind: 'wait', until }
            return
          }
          this.#index++
          break
        }
        case 'unless': {
          const way = holds(here.condition, state.scope)
          state.ways = { ...state.ways, [here.id]: way }
          this.#index = way ? this.#index + 1 : here.to
          break
        }
        case 'again': {
          const round = (state.rounds?.[here.id] ?? 0) + 1
          if (++this.#idleRounds > maxIdleRounds)
            return failWith(this, 'E_WORKFLOW_VALUE', `${here.id}: more than ${maxIdleRounds} rounds without a wait`)
          const isDone = round >= here.maxRounds || holds(here.until, state.scope)
          state.rounds = { ...state.rounds, [here.id]: isDone ? 0 : round }
          this.#index = isDone ? this.#index + 1 : here.to
          break
        }
        case 'jump':
          this.#index = here.to
          break
        case 'complete':
          return completeWith(this, this.#evaluate(here.step.output))
        case 'fail':
          return failWith(this, 'E_WORKFLOW_FAILED', asText(this.#evaluate(here.step.message)))
      }
    }
  }

  /** Gives kept events to the pattern and advances when it is decided. `due`: a timer has fired, so absences may hold. */
  #checkPattern(now: number, due: boolean): void {
    const { state } = this
    const here = this.#instruction
    if (here?.op !== 'when') return
    const wait = this.#whenWait
    for (;;) {
      startAbsences(here.node, wait, now)
      const found = patternState(here.node, wait)
      if (found === 'holds') {
        Object.assign(state.scope, captures(here.node, wait))
        return this.#advance(this.#index + 1, now)
      }
      if (found === 'fails')
        return this.#failStep(
          failure('E_WORKFLOW_UNMATCHED', `${here.step.id}: an event arrived that must be absent`),
          now,
        )
      const taken = takeEarly(state, event => acceptEvent(here.node, wait, event, state.scope))
      if (!taken && !(due && expireAbsences(here.node, wait, now))) return
    }
  }

  /** Whether the current pattern or a later step may take the event. */
  #isExpected(event: ReceivedEvent): boolean {
    const here = this.#instruction
    if (here?.op === 'when' && mayAccept(here.node, this.#whenWait, event, this.state.scope)) return true
    return this.code.isExpectedAfter(event.type, this.#index)
  }

  /** Reports kept events as late if no step can take them any more. */
  #emitLate() {
    if (this.state.ended || this.state.ending) return
    for (;;) {
      const past = takeEarly(this.state, event => !this.#isExpected(event))
      if (!past) return
      this.commands.push(lateCommand(past, this.state.at))
    }
  }

  #fanOut(step: FanStep, now: number) {
    const items = fanItems(step, this.state.scope)
    if (!items) return this.#failStep(failure('E_WORKFLOW_VALUE', `${step.id}: the items are not a list`), now)
    this.state.wait = { kind: 'fan', items, next: 0, results: items.map(() => null) }
    this.#joinResults(step, this.state.wait, now)
  }

  /** Advances when the result of the step is certain, else starts the next calls. */
  #joinResults(step: FanStep, wait: FanWait, now: number) {
    const found = joinResults(step, wait.results)
    if (!found) return this.#startNextCalls(step, wait)
    cancelOpenCalls(this)
    if ('error' in found) return this.#failStep(found.error, now)
    Object.assign(this.state.scope, outputsByName(step, found.output))
    this.#advance(this.#index + 1, now)
  }

  #startNextCalls(step: FanStep, wait: FanWait) {
    let under = Object.keys(this.state.open ?? {}).length + this.commands.filter(({ kind }) => kind === 'call').length
    for (; under < maxConcurrentCalls(step) && wait.next < wait.items.length; under++) {
      const { target, input } = callFor(step, wait.items[wait.next], wait.next, this.state.scope)
      this.commands.push(callCommand(wait.next++, target, input, step.within))
    }
  }

  #remind(wait: Extract<WaitState, { kind: 'approve' }>, now: number) {
    const { step } = this.#instruction as Extract<Instruction, { op: 'approve' }>
    const { as: approval, who, what, remind } = step
    const every = milliseconds(remind!)
    const [request] = Object.keys(this.state.open ?? {})
    const data = { approval, ...(who && { who }), what: { input: this.#evaluate(what) } }
    const subject = request !== undefined && { subject: request }
    this.commands.push({ kind: 'emit', type: 'approval.reminded', data, ...subject })
    // Sends one reminder even if several were missed while no worker ran.
    wait.remindAt = wait.remindAt! + every * (1 + Math.floor((now - wait.remindAt!) / every))
  }

  #failStep(error: ErrorData, now: number) {
    const here = this.#instruction
    const otherwise = here && 'failed' in here ? here.failed : undefined
    if (otherwise === undefined) return this.end({ error })
    const { code, message } = error
    this.state.scope.error = { code, message }
    if (here?.op === 'when') Object.assign(this.state.scope, captures(here.node, this.#whenWait))
    if (here && 'step' in here) this.state.ways = { ...this.state.ways, [here.step.id]: false }
    this.#advance(otherwise, now)
  }

  /** The deadline of the instance has passed. An instance that never started is cancelled, not failed. */
  #expire() {
    const { name, within } = this.code.definition
    if (this.#hasStarted) failWith(this, 'E_WORKFLOW_EXPIRED', `${name}: the instance took longer than ${within}`)
    else this.end({ cancelled: 'it never started: the events of its first step did not arrive in time' })
  }

  #evaluate(expression: Expression): unknown {
    return evaluate(expression, this.state.scope)
  }
}
