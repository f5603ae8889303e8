import { TidingsError, type ErrorData } from '../errors.ts'
import type { Redactor } from '../bus/redact.ts'
import type { CloudEvent } from '../event.ts'
import { copyOf, jsonOf } from '../json.ts'
import { validateNow, type Schema } from '../schema.ts'
import { deniedType, type ApprovalDecision } from '../tasks/approval.ts'
import { routedType, type RoutedData } from '../bus/routed.ts'
import { migrateType } from '../tasks/instances.ts'
import { callOutcome } from '../tasks/outcome.ts'
import { inputOf, type Machine, type RecordedTurn, type TurnContext } from '../tasks/program.ts'
import { refusedType } from '../tasks/turn.ts'
import type { Code } from './compile.ts'
import { invalid } from './failures.ts'
import { knows } from './heard.ts'
import { Instance } from './instance.ts'
import { migrated } from './migrate.ts'
import type { Command, Result, State } from './state.ts'

/** An instance as the engine holds it: inputs go in, commands come out, and get their ids when the turn is accepted. */
export class WorkflowMachine implements Machine {
  readonly maxTurns = Infinity
  readonly canCompensate = true
  readonly #input: Schema | undefined
  readonly #redactor: Redactor
  #instance: Instance
  #json: string | undefined

  constructor(code: Code, input: Schema | undefined, redactor: Redactor, snapshot: string | undefined) {
    this.#input = input
    this.#redactor = redactor
    this.#instance = new Instance(code, snapshot === undefined ? undefined : (JSON.parse(snapshot) as State))
  }

  fold({ turn, inputs, emitted }: RecordedTurn) {
    for (const input of inputs) this.#take(input, turn.at)
    this.accepted(emitted)
  }

  decide(inputs: readonly CloudEvent[], ctx: TurnContext) {
    for (const input of inputs) this.#take(input, ctx.now)
    for (const command of this.#instance.commands) perform(command, ctx)
    const { deadline, state } = this.#instance
    if (deadline !== undefined && (!state.alarm || deadline < state.alarm.due)) {
      // It has one timer at a time, however often it goes round.
      if (state.alarm) ctx.cancelCall(state.alarm.call)
      ctx.sleep(Math.max(0, deadline - ctx.now), 'alarm')
    }
  }

  accepted(emitted: readonly CloudEvent[]) {
    const asked = this.#instance.commands.filter(command => command.kind === 'ask')
    const { state } = this.#instance
    for (const { id, type, target, data, replyto } of emitted) {
      if (type === 'timer.set') state.alarm = { call: id, due: Date.parse((data as { due: string }).due) }
      // What it started without waiting for it may look like a call otherwise.
      if (replyto === undefined) continue
      const of = asked.findIndex(command => command.type === type && command.target === target)
      if (of < 0) continue
      const [command] = asked.splice(of, 1)
      ;(state.open ??= {})[id] = command!.slot
    }
    this.#instance.commands = []
    const json = JSON.stringify(state)
    this.#json = this.#redactor.json(json)
    // It goes on with what the log says.
    if (this.#json !== json) this.#instance = new Instance(this.#instance.code, JSON.parse(this.#json) as State)
  }

  get isCompensating() {
    return this.#instance.isUndoing
  }

  snapshot() {
    return (this.#json ??= JSON.stringify(this.#instance.state))
  }

  pinned() {
    const { version } = this.#instance.code.definition
    return { version, hash: this.#instance.code.hash }
  }

  hasSeen({ id, type, causationid }: CloudEvent) {
    return knows(this.#instance.state, type === routedType && causationid !== undefined ? causationid : id)
  }

  #take(event: CloudEvent, now: number) {
    const { state } = this.#instance
    if (event.type === 'timer.fired') {
      if (state.alarm?.call === event.call) delete state.alarm
      return this.#instance.tick(now)
    }
    if (event.type === refusedType) return this.#instance.refuse((event.data as { error: ErrorData }).error)
    if (event.call !== undefined && event.type !== 'agent.invoke')
      return this.#instance.answer(event.call, resultOf(event), now)
    if (event.type === 'agent.cancel')
      return this.#instance.end({ cancelled: (event.data as { reason?: string } | null)?.reason ?? 'cancelled' })
    if (event.type === migrateType) {
      const { commands, code } = this.#instance
      const moved = migrated(code, state, event.data, now)
      if ('refused' in moved)
        commands.push({ kind: 'emit', type: 'workflow.migration.refused', data: { why: moved.refused } })
      else {
        this.#instance = new Instance(moved.code, moved.state)
        // Of what came before it in the same turn.
        this.#instance.commands = commands
        const [from, to] = [code, moved.code].map(({ definition, hash }) => ({ version: definition.version, hash }))
        commands.push({ kind: 'emit', type: 'workflow.migrated', data: { from, to } })
      }
      return
    }
    if (event.type === 'agent.invoke') return this.#begin(event, now)
    this.#instance.hear(heard(event), now)
  }

  #begin(start: CloudEvent, now: number) {
    const { name, callable } = this.#instance.code.definition
    if (!callable) return this.#instance.end(invalidly(`${name} is begun by events, and cannot be called`))
    try {
      const checked = this.#input ? validateNow(this.#input, copyOf(inputOf(start))) : { value: inputOf(start) }
      if ('value' in checked) return this.#instance.begin(jsonOf(checked.value, 'what the schema makes of it'), now)
      this.#instance.end(invalidly(`the input: ${checked.problem}`))
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'E_VALUE_INVALID') throw error
      this.#instance.end(invalidly(`the input: ${error.message}`))
    }
  }
}

const invalidly = (what: string) => ({ error: invalid(what) })

/** What happened, wherever it did. */
const heard = (event: CloudEvent): CloudEvent => (event.type === routedType ? (event.data as RoutedData).event : event)

function perform(command: Command, ctx: TurnContext) {
  switch (command.kind) {
    case 'ask':
      return ctx.call(command)
    case 'withdraw':
      return ctx.cancelCall(command.call)
    case 'emit':
      return ctx.emit(command)
    case 'complete':
      return ctx.complete(command.output)
    case 'fail':
      return ctx.fail(command.error)
    case 'cancel':
      return ctx.cancel(command.reason)
  }
}

/** A person's no fails the step. */
function resultOf(event: CloudEvent): Result {
  const outcome = callOutcome(event)
  if ('error' in outcome) return outcome
  if (event.type !== deniedType) return { output: outcome.output ?? null }
  const { by, comment } = outcome.output as ApprovalDecision
  const why = comment === undefined ? '' : `: ${comment}`
  return { error: new TidingsError('E_APPROVAL_DENIED', `${by} says no${why}`).toJSON() }
}
