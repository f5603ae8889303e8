import { type ErrorData, TidingsError } from '../errors.ts'
import { approvalRequest } from '../tasks/approval.ts'
import { deadlineFrom, milliseconds, type Timeout } from '../tasks/duration.ts'
import { requestType } from '../tasks/script.ts'
import type { Code, Instruction } from './compile.ts'
import type { CallStep, Expression, Target } from './definition.ts'
import { deadlineOf, inMs, isPast, momentOf } from './deadline.ts'
import { asText, evaluate, holds } from './evaluate.ts'
import { expired, failed, invalid, unmatched } from './failures.ts'
import { keep, kept, knows, pick, remember } from './heard.ts'
import { callFor, itemsOf, joined, keptOf, widthOf, type FanStep } from './fan.ts'
import { awaits, begin, captures, judge, take, takenIn, verdict, type Heard } from './match.ts'
import { isKeptWhenRefused, type Command, type Ending, type Result, type Slot, type State, type Wait } from './state.ts'

/*
 * One instance, as pure steps from state to state. An event is taken by the step that waits for it, kept for a later one,
 * or is late; then the instance goes on until it waits again:
 *
 *     hear ─┬─ taken ─▶ the pattern holds ─▶ the next steps, as far as they need not wait
 *           ├─ kept until its turn comes           (in the pattern, or in a step that may still come)
 *           ├─ late: `workflow.late`               (none does any more)
 *           └─ seen before: nothing
 *
 * What is to happen outside is collected in `commands`. Time comes in as an argument, that of the turn.
 */

// Of loops that need not wait.
const mostRoundsAtOnce = 1_000

export class Instance {
  readonly state: State
  readonly code: Code
  commands: Command[] = []
  /** Index of the instruction at which it is. */
  #at: number
  #roundsAtOnce = 0

  /** @throws E_PROGRAM_MISMATCH when the definition has no such step */
  constructor(code: Code, state: State = { scope: {} }) {
    this.code = code
    this.state = state
    const place = state.at === undefined ? 0 : code.place(state.at)
    if (place === undefined)
      throw new TidingsError('E_PROGRAM_MISMATCH', `${code.definition.name} has no step ${state.at} any more`)
    this.#at = place
  }

  /** The event of an outside publisher, or of another task. */
  hear(event: Heard, now: number): void {
    this.#enter(now)
    const { state } = this
    if (knows(state, event.id)) return
    remember(state, event.id)
    const here = this.#here
    const isOver = state.ended === true || state.ending !== undefined
    if (!isOver && here?.op === 'when' && take(here.node, this.#when, kept(event), state.scope))
      this.#settle(now, false)
    else if (isOver || !this.#isWanted(event) || !keep(state, kept(event))) this.#late(event)
    this.#rest()
  }

  /** The input of a call, in place of an event. */
  begin(input: unknown, now: number): void {
    this.#enter(now)
    this.state.scope.event = input
    this.#go(0, now)
  }

  /** The answer to a call. */
  answer(call: string, result: Result, now: number): void {
    const slot = this.state.open?.[call]
    if (slot === undefined) return
    this.#enter(now)
    delete this.state.open![call]
    const here = this.#here
    if (slot === 'undo') this.#undone(result)
    else if (here?.op === 'fan') this.#answered(here.step, slot as number, result, now)
    else if (here?.op === 'call' || here?.op === 'approve') {
      if ('error' in result) this.#stepFailed(result.error, now)
      else {
        this.state.scope[here.step.as] = result.output
        if (here.op === 'call') this.#canUndo(here.step)
        this.#go(this.#at + 1, now)
      }
    }
    this.#rest()
  }

  /** A timer has said that it is now at least so late. */
  tick(now: number): void {
    const { state } = this
    if (state.ended || state.ending) return
    this.#enter(now)
    const { wait } = state
    const here = this.#here
    if (wait?.kind === 'when' && here?.op === 'when') {
      this.#settle(now, true)
      if (state.wait === wait && isPast(deadlineFrom(wait.since, here.step.within), now))
        if (this.#isBegun || here.failed !== undefined)
          this.#stepFailed(expired(`${here.step.id}: what it waits for has not come in time`), now)
        else this.#over()
    } else if (wait?.kind === 'wait' && wait.until <= now) this.#go(this.#at + 1, now)
    else if (wait?.kind === 'approve' && wait.remindAt !== undefined && wait.remindAt <= now) this.#remind(wait, now)
    if (!state.ended && !state.ending && isPast(state.ends ?? null, now)) this.#over()
    this.#rest()
  }

  /** The next moment at which time changes something; undefined when none does. */
  get deadline(): number | undefined {
    return deadlineOf(this.state, this.#here)
  }

  /** Undoes what can be undone, then ends. */
  end(as: Ending): void {
    const { state } = this
    if (state.ended || state.ending) return
    this.#withdraw()
    delete state.wait
    state.ending = { as }
    this.#undoNext()
  }

  /** Nothing of what it wanted to do in this turn happens, but for what undoes: it fails. */
  refuse(error: ErrorData): void {
    const { state } = this
    this.commands = this.commands.filter(isKeptWhenRefused)
    if (state.ending) return
    delete state.ended
    this.end({ error })
  }

  get isUndoing() {
    return this.state.ending !== undefined
  }

  get #here(): Instruction | undefined {
    return this.code.row[this.#at]
  }

  get #when() {
    return this.state.wait as Extract<Wait, { kind: 'when' }>
  }

  get #isBegun() {
    return this.#at > 0 || this.#here?.op !== 'when' || takenIn(this.#when).length > 0
  }

  /** Something happens to it: the first time, it is born. */
  #enter(now: number) {
    this.#roundsAtOnce = 0
    if (this.state.ends !== undefined) return
    const { within } = this.code
    this.state.ends = within === null ? null : now + within
    if (this.#here?.op === 'when') this.#go(this.#at, now)
  }

  /** Goes on from an instruction, as far as nothing must be waited for. */
  #go(to: number, now: number): void {
    const { state } = this
    this.#at = to
    delete state.wait
    for (;;) {
      const here = this.#here
      if (!here) return this.#complete(null)
      if ('step' in here) state.at = here.step.id
      switch (here.op) {
        case 'when':
          state.wait = { kind: 'when', since: now }
          return this.#settle(now, false)
        case 'call':
          state.wait = { kind: 'call' }
          return this.#ask('call', here.step.target, this.#value(here.step.input), here.step.within)
        case 'fan':
          return this.#fanOut(here.step, now)
        case 'approve': {
          const { as: name, who, what, within, remind } = here.step
          const request = approvalRequest({ name, approvers: who, what: { input: this.#value(what) } })
          state.wait = { kind: 'approve', ...(remind !== undefined && { remindAt: now + milliseconds(remind) }) }
          this.commands.push({ kind: 'ask', slot: 'call', ...request, within: inMs(within) })
          return
        }
        case 'emit': {
          const { type, target, data } = here.step
          this.commands.push({ kind: 'emit', type, ...(target !== undefined && { target }), data: this.#value(data) })
          this.#at++
          break
        }
        case 'wait': {
          const until = 'after' in here.step.until ? now + milliseconds(here.step.until.after) : momentOf(this.#value(here.step.until.moment)) // biome-ignore format: one choice
          if (Number.isNaN(until)) return this.#fail(invalid(`${here.step.id}: the moment cannot be read`))
          if (until > now) {
            state.wait = { kind: 'wait', until }
            return
          }
          this.#at++
          break
        }
        case 'unless': {
          const way = holds(here.condition, state.scope)
          state.ways = { ...state.ways, [here.id]: way }
          this.#at = way ? this.#at + 1 : here.to
          break
        }
        case 'again': {
          const round = (state.rounds?.[here.id] ?? 0) + 1
          if (++this.#roundsAtOnce > mostRoundsAtOnce)
            return this.#fail(invalid(`${here.id}: ${mostRoundsAtOnce} rounds without anything to wait for`))
          const isDone = round >= here.most || holds(here.until, state.scope)
          state.rounds = { ...state.rounds, [here.id]: isDone ? 0 : round }
          this.#at = isDone ? this.#at + 1 : here.to
          break
        }
        case 'jump':
          this.#at = here.to
          break
        case 'complete':
          return this.#complete(this.#value(here.step.output))
        case 'fail':
          return this.#fail(failed(asText(this.#value(here.step.message))))
      }
    }
  }

  /** Lets the pattern take what was kept for it, and goes on when it is decided. `due`: a timer says that it is now. */
  #settle(now: number, due: boolean): void {
    const { state } = this
    const here = this.#here
    if (here?.op !== 'when') return
    const wait = this.#when
    for (;;) {
      begin(here.node, wait, now)
      const found = verdict(here.node, wait)
      if (found === 'holds') {
        Object.assign(state.scope, captures(here.node, wait))
        return this.#go(this.#at + 1, now)
      }
      if (found === 'fails') return this.#stepFailed(unmatched(`${here.step.id}: what must not come has come`), now)
      const taken = pick(state, event => take(here.node, wait, event, state.scope))
      if (!taken && !(due && judge(here.node, wait, now))) return
    }
  }

  /** Whether the event has a place further on: in the pattern, or in a step that may still come. */
  #isWanted(event: Heard): boolean {
    const here = this.#here
    if (here?.op === 'when' && awaits(here.node, this.#when, event, this.state.scope)) return true
    return this.code.isWantedLater(event.type, this.#at)
  }

  /** Of what it keeps, that is late which it has gone past. */
  #rest() {
    if (this.state.ended || this.state.ending) return
    for (;;) {
      const past = pick(this.state, event => !this.#isWanted(event))
      if (!past) return
      this.#late(past)
    }
  }

  #fanOut(step: FanStep, now: number) {
    const items = itemsOf(step, this.state.scope)
    if (!items) return this.#stepFailed(invalid(`${step.id}: what it goes through is no list`), now)
    const wait: Wait = { kind: 'fan', items, next: 0, results: items.map(() => null) }
    this.state.wait = wait
    this.#join(step, wait, now)
  }

  #answered(step: FanStep, item: number, result: Result, now: number) {
    const wait = this.state.wait as Extract<Wait, { kind: 'fan' }>
    wait.results[item] = result
    this.#join(step, wait, now)
  }

  /** Goes on when it is certain what the step gives, else asks for the next items. */
  #join(step: FanStep, wait: Extract<Wait, { kind: 'fan' }>, now: number) {
    const found = joined(step, wait.results)
    if (!found) return this.#askNext(step, wait)
    this.#withdraw()
    if ('error' in found) return this.#stepFailed(found.error, now)
    Object.assign(this.state.scope, keptOf(step, found.output))
    this.#go(this.#at + 1, now)
  }

  #askNext(step: FanStep, wait: Extract<Wait, { kind: 'fan' }>) {
    let under = Object.keys(this.state.open ?? {}).length + this.commands.filter(({ kind }) => kind === 'ask').length
    for (; under < widthOf(step) && wait.next < wait.items.length; under++) {
      const { target, input } = callFor(step, wait.items[wait.next], wait.next, this.state.scope)
      this.#ask(wait.next++, target, input, step.within)
    }
  }

  #remind(wait: Extract<Wait, { kind: 'approve' }>, now: number) {
    const here = this.#here as Extract<Instruction, { op: 'approve' }>
    const every = milliseconds(here.step.remind!)
    const [subject] = Object.keys(this.state.open ?? {})
    const data = {
      approval: here.step.as,
      ...(here.step.who && { who: here.step.who }),
      what: { input: this.#value(here.step.what) },
    }
    this.commands.push({ kind: 'emit', type: 'approval.reminded', data, ...(subject !== undefined && { subject }) })
    // Of reminders that nobody was there to send, one is enough.
    wait.remindAt = wait.remindAt! + every * (1 + Math.floor((now - wait.remindAt!) / every))
  }

  #ask(slot: Slot, target: Target, input: unknown, within: Timeout) {
    const data = { input: input ?? null }
    this.commands.push({
      kind: 'ask',
      slot,
      type: requestType(target.kind),
      target: target.name,
      data,
      within: inMs(within),
    })
  }

  /** Nobody waits any more for what is open. */
  #withdraw() {
    this.commands = this.commands.filter(({ kind }) => kind !== 'ask')
    for (const call of Object.keys(this.state.open ?? {})) this.commands.push({ kind: 'withdraw', call })
    delete this.state.open
  }

  #stepFailed(error: ErrorData, now: number) {
    const here = this.#here
    const otherwise = here && 'failed' in here ? here.failed : undefined
    if (otherwise === undefined) return this.#fail(error)
    const { code, message } = error
    this.state.scope.error = { code, message }
    if (here?.op === 'when') Object.assign(this.state.scope, captures(here.node, this.#when))
    if (here && 'step' in here) this.state.ways = { ...this.state.ways, [here.step.id]: false }
    this.#go(otherwise, now)
  }

  #fail(error: ErrorData) {
    this.end({ error })
  }

  /** Its time is over: what never began has nothing to say. */
  #over() {
    if (this.#isBegun)
      return this.#fail(
        expired(`${this.code.definition.name}: the instance took longer than ${this.code.definition.within}`),
      )
    this.end({ cancelled: 'it never began: what its first step waits for has not come in time' })
  }

  #canUndo({ id, undo }: CallStep) {
    if (undo) this.state.undo = [...(this.state.undo ?? []), { step: id, input: this.#value(undo.input) ?? null }]
  }

  #undoNext(): void {
    const { undo, ending } = this.state
    const last = undo?.at(-1)
    if (!last) return this.#ended(ending!.as, ending!.failed)
    const done = this.code.row[this.code.place(last.step) ?? -1]
    if (done?.op === 'call' && done.step.undo) this.#ask('undo', done.step.undo.target, last.input, done.step.within)
    else this.#undone({ error: invalid('the definition no longer says how') })
  }

  #undone(result: Result): void {
    const { undo, ending } = this.state
    const { step } = undo!.pop()!
    if ('error' in result) ending!.failed = [...(ending!.failed ?? []), `${step} (${result.error.message})`]
    this.#undoNext()
  }

  #complete(output: unknown) {
    this.commands.push({ kind: 'complete', output: output ?? null })
    this.#close()
  }

  #ended(as: Ending, failed: readonly string[] = []) {
    const more = failed.length > 0 ? `; not undone: ${failed.join(', ')}` : ''
    if ('error' in as) this.commands.push({ kind: 'fail', error: { ...as.error, message: as.error.message + more } })
    else this.commands.push({ kind: 'cancel', reason: as.cancelled + more })
    this.#close()
  }

  #close() {
    const { state } = this
    for (const event of state.early ?? []) this.#late(event)
    delete state.early
    delete state.wait
    state.ended = true
  }

  #late({ id, type }: Heard) {
    const data = { event: id, type, at: this.state.at ?? null }
    this.commands.push({ kind: 'emit', type: 'workflow.late', data, subject: id })
  }

  #value(expression: Expression): unknown {
    return evaluate(expression, this.state.scope)
  }
}
