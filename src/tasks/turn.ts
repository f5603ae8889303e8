import { matchesType } from '../pattern.ts'
import { hash } from 'node:crypto'
import { createEvent, inheritedAttributes, type CloudEvent } from '../event.ts'
import { checkedErrorData, type ErrorData, failureData, TidingsError, textOf, withoutStack } from '../errors.ts'
import { isReservedType } from '../bus/admit.ts'
import { cancelId, correlationOf, emitId, isTaskId, resultId, taskId, turnId } from '../bus/ids.ts'
import type { Redactor } from '../bus/redact.ts'
import { copyOf, jsonOf, maxDepth, type Json } from '../json.ts'
import { findEarlierCall, repeatCall, type EarlierCall } from './earlier-calls.ts'
import { approvalType, type ApprovalRequest } from './approval.ts'
import { messageTakenType } from './asked.ts'
import type { Spending } from './budget.ts'
import { deadlineFrom, type Timeout, type Duration } from './duration.ts'
import { formatLocation } from '../stack.ts'
import { isInvocation, retryType, type Fork } from './fork.ts'
import {
  withoutTrace,
  type CallRequest,
  type EmitRequest,
  type EmittedRef,
  type TaskEnd,
  type Turn,
  type TurnContext,
} from './program.ts'
import type { LogLine } from './turn-log.ts'
import { awaitsType, timerTarget } from './waits.ts'

export const turnType = 'task.turn'

/** Turns repeat what other events show, so only readers that name the type get them. */
export const namesTurns = (patterns: readonly string[]) =>
  patterns.some(pattern => pattern.startsWith('task') && matchesType(pattern, turnType))
const defaultTimeout: Timeout = '1d'
// In UTF-16 units of JSON. A larger state is recorded as its digest.
export const maxInlineStateChars = 1_024

/** A call that waits for its answer. */
export interface OpenCall {
  readonly id: string
  readonly type: string
  readonly target: string
  readonly until: number | null
  /** The id under which the program knows the call, if the runtime repeated it after a fork. */
  readonly as?: string
}

export const openCall = ({ id, type, wait }: Pick<EmittedRef, 'id' | 'type' | 'wait'>): OpenCall => {
  const { target, until, as } = wait!
  return { id, type, target, until, ...(as !== undefined && { as }) }
}

export interface TaskIdentity {
  readonly task: string
  readonly program: string
  readonly source: string
  readonly programVersion: number
  readonly programHash: string
  /** Where the program is defined, as `path:line:column`. */
  readonly programAt?: string
  readonly isBuiltIn?: true
  readonly start: CloudEvent
  /** The `hops` of all events that this task emits. */
  readonly hops: number
  /** Applied before anything is emitted or hashed, so that a replay of recorded inputs gives the same. */
  readonly redactor: Redactor
  /** In a retry: calls that the failed task made and this task has not repeated yet. */
  readonly earlierCalls?: readonly EarlierCall[]
}

/** What a turn emits, with the fields that the runtime sets. */
export type AddressedRequest = EmitRequest & {
  replyto?: string
  call?: string
  deadline?: string
  hops?: number
  retryof?: string
}

export interface TurnBuilderOptions {
  readonly identity: TaskIdentity
  readonly version: number
  readonly inputs: readonly CloudEvent[]
  readonly now: number
}

/** Collects what a turn emits, and builds the `task.turn` event. */
export class TurnBuilder implements TurnContext {
  readonly version: number
  readonly now: number
  readonly events: CloudEvent[] = []
  /** Lines for the log of the process, if there are any. */
  lines: LogLine[] | undefined
  readonly emits: EmittedRef[] = []
  /** Bytes of the emitted data as JSON. */
  bytes = 0
  /** Ids of the calls of earlier turns that the program cancelled. */
  readonly cancelledCalls = new Set<string>()
  end: TaskEnd | undefined
  /** Set if the program threw, or asked for something that cannot be recorded: the task fails in this turn. */
  fault: { readonly thrown: unknown } | undefined
  #successor: string | undefined
  #cancellations = 0
  #earlierCalls: readonly EarlierCall[]
  readonly #identity: TaskIdentity
  readonly #cause: CloudEvent

  constructor({ identity, version, inputs, now }: TurnBuilderOptions) {
    this.#identity = identity
    this.#earlierCalls = identity.earlierCalls ?? []
    this.version = version
    this.now = now
    this.#cause = inputs.at(-1)!
  }

  get task() {
    return this.#identity.task
  }

  get start() {
    return copyOf(withoutTrace(this.#identity.start))
  }

  get calls(): EmittedRef[] {
    return this.emits.filter(emit => emit.wait)
  }

  /** The calls of this turn in the form in which the task keeps them. */
  get opened(): OpenCall[] {
    return this.calls.map(openCall)
  }

  emit(emission: AddressedRequest): string {
    const { program, isBuiltIn } = this.#identity
    if (!isBuiltIn && isReservedType(emission.type))
      throw new TidingsError(
        'E_EVENT_INVALID',
        `"${program}" emits "${emission.type}", but types that begin with "${emission.type.split('.')[0]}" are reserved for the runtime: use a type of your own`,
      )
    return this.add(emission)
  }

  /** Answers a message: the task has it. A forwarded message names the first one as its `call`. */
  confirm({ id, call = id, replyto }: CloudEvent) {
    if (replyto !== undefined)
      this.add({ type: messageTakenType, target: replyto, call, data: {} }, undefined, resultId(call))
  }

  call({ within, key, ...request }: CallRequest): string {
    const until = deadlineFrom(this.now, within ?? defaultTimeout)
    return this.add(
      {
        ...request,
        replyto: this.#identity.program,
        ...(until !== null && { deadline: new Date(until).toISOString() }),
      },
      { ...this.#keyed(key), target: request.target, until },
    )
  }

  sleep(duration: Duration, key?: string): string {
    const until = deadlineFrom(this.now, duration)!
    const data = { due: new Date(until).toISOString() }
    return this.add({ type: 'timer.set', data }, { ...this.#keyed(key), target: timerTarget, until })
  }

  log(line: LogLine) {
    ;(this.lines ??= []).push(line)
  }

  awaitEvent(type: string, within?: Timeout, key?: string): string {
    const until = deadlineFrom(this.now, within ?? defaultTimeout)
    const data = { type, ...(until !== null && { until: new Date(until).toISOString() }) }
    return this.add({ type: awaitsType, data }, { ...this.#keyed(key), target: type, until })
  }

  /**
   * Repeats a call that the program made before a fork. The call gets its full timeout again; a timer keeps its due time. `retry`:
   * continues the task that was called, instead of starting it.
   */
  reissue(asked: CloudEvent, retry?: Fork) {
    const { id, type, target, data, time, deadline, retryof } = asked
    if (type === 'timer.set') {
      this.add({ type, data }, { target: timerTarget, until: Date.parse((data as { due: string }).due), as: id })
      return
    }
    if (type === awaitsType) {
      const awaited = data as { type: string; until?: string }
      const due = awaited.until === undefined ? null : this.now + Date.parse(awaited.until) - Date.parse(time)
      this.add({ type, data }, { target: awaited.type, until: due, as: id })
      return
    }
    const until = deadline === undefined ? null : this.now + Date.parse(deadline) - Date.parse(time)
    const bound = until !== null && { deadline: new Date(until).toISOString() }
    const replyto = this.#identity.program
    const request = retry ? { type: retryType, data: { ...retry, asked } } : { type, data }
    const kept = retryof !== undefined && { retryof }
    this.add({ ...request, target: target!, replyto, ...bound, ...kept }, { target: target!, until, as: id })
  }

  complete(output: unknown) {
    this.#finish('completed', 'agent.task.completed', { output: output === undefined ? null : output })
  }

  /** The error gets a stack: at least the line where the program is defined. */
  fail(error: ErrorData) {
    const { program, programAt } = this.#identity
    const checked = checkedErrorData(error, 'E_PROGRAM_FAILED')
    const stack = checked.stack || (programAt && formatLocation(program, programAt))
    this.#finish('failed', 'agent.task.failed', { error: { ...checked, ...(stack && { stack }) } })
  }

  /** `reason` may come from outside and have any size. */
  cancel(reason: string) {
    this.#finish('cancelled', 'agent.task.cancelled', { reason: textOf(reason) })
  }

  continueAs(input: unknown) {
    const { program, start } = this.#identity
    const id = this.add({
      type: 'agent.invoke',
      target: program,
      subject: continuedTask(start) ?? this.task,
      data: { input },
      hops: start.hops,
      ...(start.replyto && { replyto: start.replyto, call: start.call ?? start.id }),
      // The caller of this task waits for its successor, with the same deadline.
      ...(start.deadline && { deadline: start.deadline }),
    })
    this.#successor = taskId(start.correlationid, program, id)
    this.end = 'continued'
  }

  /** The number of emitted events, without cancellations and the event that ends the task. */
  get emitted(): number {
    return this.events.length - this.#cancellations - (this.end ? 1 : 0)
  }

  /** Whether the turn does more than end the task. */
  get asks(): boolean {
    return this.emitted > 0 || this.end === 'continued'
  }

  /** Drops everything that the program emitted in this turn. */
  clear() {
    this.events.length = 0
    this.lines = undefined
    this.emits.length = 0
    this.bytes = 0
    this.cancelledCalls.clear()
    this.end = undefined
    this.#successor = undefined
    this.#cancellations = 0
    this.#earlierCalls = this.#identity.earlierCalls ?? []
  }

  /** Replaces everything that was emitted in this turn by the failure of the task. */
  failWith(thrown: unknown) {
    this.fault = { thrown }
    this.clear()
    this.fail(failureData(thrown, 'E_PROGRAM_FAILED'))
  }

  /** A builder of the same turn that only fails the task. */
  failing(error: ErrorData): TurnBuilder {
    const { version, now } = this
    const failing = new TurnBuilder({ identity: this.#identity, version, inputs: [this.#cause], now })
    failing.fault = { thrown: error }
    failing.fail(error)
    return failing
  }

  cancelCall(call: string) {
    this.cancelledCalls.add(call)
  }

  /** Emits the event that cancels a call, whatever executes it. */
  emitCancellation(call: OpenCall, reason: string) {
    if (call.type === 'timer.set' || call.type === awaitsType) return
    this.#cancellations++
    const { id, target } = call
    const [type, subject] = isInvocation(call.type)
      ? ['agent.cancel', taskId(correlationOf(this.task), target, id)]
      : ['call.cancelled', id]
    this.add({ type, target, subject, data: { reason } }, undefined, cancelId(id))
  }

  /** The `task.turn` event. It contains `inputs` as they were delivered. */
  build(inputs: readonly CloudEvent[], wake: number | null, state?: string, spent?: Partial<Spending>) {
    const { program, programVersion, programHash, start } = this.#identity
    const first = continuedTask(start)
    return this.#event(
      {
        type: turnType,
        data: {
          program,
          programVersion,
          programHash,
          version: this.version,
          at: this.now,
          inputs,
          emits: this.emits,
          ...stateOf(state),
          ...(this.cancelledCalls.size > 0 && { withdrawn: [...this.cancelledCalls] }),
          wake,
          ...(this.end && { end: this.end }),
          ...(spent && { spent }),
          ...(first !== undefined && { continues: first }),
          ...(start.retryof !== undefined && { retryOf: start.retryof }),
          ...(this.#successor !== undefined && { successor: this.#successor }),
        } satisfies Turn,
      },
      turnId(this.task, this.version),
    ) as CloudEvent<Turn>
  }

  #keyed(key: string | undefined) {
    return key === undefined ? {} : { key: this.#identity.redactor.knownSecrets(key) }
  }

  #finish(end: TaskEnd, type: string, data: object) {
    const { start } = this.#identity
    const answers = start.replyto && { target: start.replyto, call: start.call ?? start.id }
    this.add({ type, data: { program: this.#identity.program, ...data }, ...answers })
    this.end = end
  }

  protected add(draft: AddressedRequest, wait?: EmittedRef['wait'], id?: string): string {
    const { redactor } = this.#identity
    redactor.assertNames({ type: draft.type, target: draft.target })
    const taken = { ...draft, data: emitData(draft) }
    const event = withApprovalHash(
      redactor.event(this.#event(taken, id ?? emitId(this.task, this.version, this.events.length))),
    )
    const json = JSON.stringify(event.data) ?? 'null'
    const emit = { id: event.id, type: event.type, hash: emittedHash(event.data, json), ...(wait && { wait }) }
    const made = this.#earlierCalls.length > 0 ? findEarlierCall(this.#earlierCalls, emit) : undefined
    if (made) this.#earlierCalls = this.#earlierCalls.filter(each => each !== made)
    const sent = made ? repeatCall(event, made) : event
    this.bytes += Buffer.byteLength(sent.data === event.data ? json : JSON.stringify(sent.data))
    this.events.push(sent)
    this.emits.push(emit)
    return event.id
  }

  #event(draft: AddressedRequest, id: string): CloudEvent {
    const { start, source, hops } = this.#identity
    return {
      ...createEvent({
        hops,
        ...draft,
        id,
        source,
        ...inheritedAttributes(start),
        causationid: this.#cause.id,
      }),
      time: new Date(this.now).toISOString(),
    }
  }
}

/** What the loop of a model agent may do in a turn besides: pass a message on, and answer one. */
export type LoopTurn = TurnContext & Pick<TurnBuilder, 'emit' | 'confirm'>

/** A copy of the data as JSON, made at the moment of the call. @throws E_VALUE_INVALID */
export const emitData = ({ type, data }: { type: string; data: unknown }): Json =>
  jsonOf(data, `the data of ${type}`, undefined, type === retryType ? 2 * maxDepth : maxDepth)

/** The first task of a `continueAs` chain, if this start continues one. */
const continuedTask = ({ type, subject, correlationid }: CloudEvent) =>
  type === 'agent.invoke' && subject !== undefined && isTaskId(subject) && correlationOf(subject) === correlationid
    ? subject
    : undefined

export function stateOf(json: string | undefined): Pick<Turn, 'state' | 'stateHash'> {
  if (json === undefined) return {}
  return json.length <= maxInlineStateChars ? { state: JSON.parse(json) } : { stateHash: digestText(json) }
}

/** Identifies what a turn emitted: the digest of the data without the stack of an error. */
export function emittedHash(data: unknown, json = JSON.stringify(data) ?? 'null'): string {
  const compared = withoutStack(data)
  return compared === data ? digestText(json) : digest(compared)
}

/** 16 hex digits of SHA-256 over the JSON of a value. */
export const digest = (value: unknown) => digestText(JSON.stringify(value) ?? 'null')

/** Adds the hash of what is to be approved to an approval request that is redacted already. */
function withApprovalHash(event: CloudEvent): CloudEvent {
  if (event.type !== approvalType) return event
  const data = event.data as ApprovalRequest | null
  return { ...event, data: { ...data, hash: digest(data?.what) } }
}

const digestText = (text: string) => hash('sha256', text, 'hex').slice(0, 16)
