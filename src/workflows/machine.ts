import { failure, TidingsError, type ErrorData } from '../errors.ts'
import type { Redactor } from '../bus/redact.ts'
import type { AnyEventType, CloudEvent } from '../event.ts'
import { copyOf, jsonOf } from '../json.ts'
import { validateNow, type Schema } from '../schema.ts'
import { deniedType, type ApprovalDecision } from '../tasks/approval.ts'
import { routedType, type RoutedData } from '../bus/routed.ts'
import { migrateType } from '../tasks/instances.ts'
import { callOutcome, type CallOutcome } from '../tasks/outcome.ts'
import { inputOf, type Machine, type RecordedTurn, type TurnContext } from '../tasks/program.ts'
import { refusedType } from '../tasks/engine-answers.ts'
import type { CompiledWorkflow } from './compile.ts'
import { emitProblem, recordedEmitProblem } from './declared.ts'
import { hasSeen } from './received-events.ts'
import { Instance } from './instance.ts'
import { migrate } from './migrate.ts'
import type { Command, InstanceState } from './state.ts'

export interface WorkflowMachineOptions {
  readonly code: CompiledWorkflow
  readonly input: Schema | undefined
  readonly events: readonly AnyEventType[]
  readonly redactor: Redactor
  /** As {@link WorkflowMachine.snapshot} returned it. */
  readonly snapshot: string | undefined
}

/** Adapts an instance to the engine. Calls get their ids when the turn is accepted. */
export class WorkflowMachine implements Machine {
  readonly maxTurns = Infinity
  readonly canCompensate = true
  readonly #input: Schema | undefined
  readonly #events: readonly AnyEventType[]
  readonly #redactor: Redactor
  #instance: Instance
  #json: string | undefined

  constructor({ code, input, events, redactor, snapshot }: WorkflowMachineOptions) {
    this.#input = input
    this.#events = events
    this.#redactor = redactor
    this.#instance = new Instance(code, snapshot === undefined ? undefined : (JSON.parse(snapshot) as InstanceState))
  }

  fold({ turn, emitted }: RecordedTurn) {
    for (const input of turn.inputs) this.#take(input, turn.at)
    const problem = recordedEmitProblem(this.#events, this.#instance.commands, emitted)
    if (problem) this.#instance.refuse(problem)
    this.accepted(emitted)
  }

  decide(inputs: readonly CloudEvent[], ctx: TurnContext) {
    for (const input of inputs) this.#take(input, ctx.now)
    const problem = emitProblem(this.#events, this.#instance.commands)
    if (problem) this.#instance.refuse(problem)
    for (const command of this.#instance.commands) perform(command, ctx)
    const { deadline, state } = this.#instance
    if (deadline !== undefined && (!state.alarm || deadline < state.alarm.due)) {
      // An instance has one timer at a time.
      if (state.alarm) ctx.cancelCall(state.alarm.call)
      ctx.sleep(Math.max(0, deadline - ctx.now), 'alarm')
    }
  }

  accepted(emitted: readonly CloudEvent[]) {
    const asked = this.#instance.commands.filter(command => command.kind === 'call')
    const { state } = this.#instance
    for (const { id, type, target, data, replyto } of emitted) {
      if (type === 'timer.set') state.alarm = { call: id, due: Date.parse((data as { due: string }).due) }
      // Without `replyto` it is a started agent or workflow, not a call.
      if (replyto === undefined) continue
      const of = asked.findIndex(command => command.type === type && command.target === target)
      if (of < 0) continue
      const [command] = asked.splice(of, 1)
      ;(state.open ??= {})[id] = command!.slot
    }
    this.#instance.commands = []
    const json = JSON.stringify(state)
    this.#json = this.#redactor.json(json)
    // The instance must continue with the redacted state that is stored.
    if (this.#json !== json) this.#instance = new Instance(this.#instance.code, JSON.parse(this.#json) as InstanceState)
  }

  get isCompensating() {
    return this.#instance.state.ending !== undefined
  }

  snapshot() {
    return (this.#json ??= JSON.stringify(this.#instance.state))
  }

  pinned() {
    const { version } = this.#instance.code.definition
    return { version, hash: this.#instance.code.hash }
  }

  hasSeen({ id, type, causationid }: CloudEvent) {
    return hasSeen(this.#instance.state, type === routedType && causationid !== undefined ? causationid : id)
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
      const moved = migrate(code, state, event.data, now)
      if ('refused' in moved)
        commands.push({ kind: 'emit', type: 'workflow.migration.refused', data: { why: moved.refused } })
      else {
        this.#instance = new Instance(moved.code, moved.state)
        // Keep the commands of earlier inputs of the same turn.
        this.#instance.commands = commands
        const [from, to] = [code, moved.code].map(({ definition, hash }) => ({ version: definition.version, hash }))
        commands.push({ kind: 'emit', type: 'workflow.migrated', data: { from, to } })
      }
      return
    }
    if (event.type === 'agent.invoke') return this.#begin(event, now)
    this.#instance.receive(unwrapped(event), now)
  }

  #begin(start: CloudEvent, now: number) {
    const { name, callable } = this.#instance.code.definition
    if (!callable)
      return this.#instance.end(
        invalidly(`workflow "${name}" is started by events and cannot be called: give it \`input\``),
      )
    try {
      const checked = this.#input ? validateNow(this.#input, copyOf(inputOf(start))) : { value: inputOf(start) }
      if ('value' in checked) return this.#instance.start(jsonOf(checked.value, 'the output of the schema'), now)
      this.#instance.end(invalidly(`the input: ${checked.problem}`))
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'E_VALUE_INVALID') throw error
      this.#instance.end(invalidly(`the input: ${error.message}`))
    }
  }
}

const invalidly = (what: string) => ({ error: failure('E_WORKFLOW_VALUE', what) })

const unwrapped = (event: CloudEvent): CloudEvent =>
  event.type === routedType ? (event.data as RoutedData).event : event

function perform(command: Command, ctx: TurnContext) {
  switch (command.kind) {
    case 'call':
      return ctx.call(command)
    case 'cancelCall':
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

/** The result of a call. A denial fails the step. */
function resultOf(event: CloudEvent): CallOutcome {
  const outcome = callOutcome(event)
  if ('error' in outcome) return outcome
  if (event.type !== deniedType) return { output: outcome.output ?? null }
  const { by, comment } = outcome.output as ApprovalDecision
  const why = comment === undefined ? '' : `: ${comment}`
  return { error: failure('E_APPROVAL_DENIED', `denied by ${by}${why}`) }
}
