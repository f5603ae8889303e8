import type { CloudEvent } from '../event.ts'
import type { ErrorData } from '../errors.ts'
import type { Redactor } from '../bus/redact.ts'
import { copyOf, jsonOf } from '../json.ts'
import type { Spending } from './budget.ts'
import type { Timeout, Duration } from './duration.ts'
import type { InlineStep } from './steps.ts'
import type { LogLine } from './turn-log.ts'

/*
 * A program decides in turns. A turn folds the waiting inputs into the state, lets the program decide, and is committed as a whole:
 * its inputs, what it emitted, and what it waits for.
 *
 *     start event ──▶ turn 1 ──▶ calls … answers ──▶ turn 2 ──▶ … ──▶ completed | failed | cancelled
 *
 * Turns record everything that a program sees, so the same turns give the same state on any worker, at any time.
 */

/** What a program may do in a turn. Nothing takes effect before the turn is accepted. */
export interface TurnContext {
  readonly task: string
  /** The event that started the task. */
  readonly start: CloudEvent
  /** Version of this turn, from 1. */
  readonly version: number
  /** The recorded time of this turn, ms since the epoch. */
  readonly now: number
  /**
   * Publishes an event. Returns its id.
   * @example turn.emit({ type: 'order.booked', data: { order: 'A1' } })
   */
  emit(emission: EmitRequest): string
  /**
   * Makes a call. Its answer arrives as an input whose `call` is the returned id.
   * @example
   * turn.call({ type: 'tool.invoke', target: 'charge', data: { input: { order: 'A1', amount: 40 } } })
   */
  call(request: CallRequest): string
  /**
   * Sets a timer. A `timer.fired` arrives as an input whose `call` is the returned id.
   * @example turn.sleep('1h')
   */
  sleep(duration: Duration, key?: string): string
  /**
   * Waits for an event of a type that the agent declares in `waitsFor`. Past its deadline, a `call.expired` arrives.
   * @example turn.awaitEvent('order.paid', '14d')
   */
  awaitEvent(type: string, within?: Timeout, key?: string): string
  /**
   * Writes a line to the log of the process, once the turn is accepted.
   * @example turn.log({ level: 'info', message: 'booked' })
   */
  log(line: LogLine): void
  /**
   * Cancels a call of an earlier turn.
   * @example turn.cancelCall(call)
   */
  cancelCall(call: string): void
  /**
   * Ends the task. Open calls are cancelled.
   * @example turn.complete({ booked: 3 })
   */
  complete(output: unknown): void
  /**
   * Fails the task. Open calls are cancelled.
   * @example turn.fail({ code: 'E_PROGRAM_FAILED', message: 'the order has no items' })
   */
  fail(error: ErrorData): void
  /**
   * Cancels the task and its open calls.
   * @example turn.cancel('the order was taken back')
   */
  cancel(reason: string): void
  /**
   * Ends the task and starts the same program with a new input. The caller of this task then waits for the new one.
   * @example turn.continueAs({ page: 2 })
   */
  continueAs(input: unknown): void
}

/** An event that a program emits. */
export interface EmitRequest {
  type: string
  data: unknown
  target?: string
  subject?: string
}

/** A request whose answer the task waits for. */
export interface CallRequest {
  type: string
  target: string
  data: unknown
  /** Maximum wait for the answer, after which a `call.expired` arrives instead. Default one day. */
  within?: Timeout
  /** Identifies the call when the code is replayed. Unique within the task. */
  key?: string
}

/**
 * Three pure functions. `State` is JSON: after the inputs of a turn, and after the events that it emitted, the state is converted to JSON
 * and back. Keep it small, because every snapshot contains it.
 */
export interface Program<State = unknown> {
  init(start: CloudEvent): State
  /** Folds an input, or an event that the task emitted, into the state. May change and return its argument. */
  evolve(state: State, event: CloudEvent): State
  /** Gets a copy of the state with `inputs` folded in, and records events and calls on `ctx`. */
  decide(state: State, inputs: readonly CloudEvent[], ctx: TurnContext): void
}

/** A running program. `fold` repeats a recorded turn, `decide` makes a new one. */
export interface Machine {
  fold(turn: RecordedTurn): void | Promise<void>
  decide(inputs: readonly CloudEvent[], ctx: TurnContext): void | Promise<void>
  /** Called after a decided turn, with the events that it emitted. */
  accepted(emitted: readonly CloudEvent[]): void
  /** The state as JSON; undefined if only the journal can restore it. */
  snapshot(): string | undefined
  readonly maxTurns: number
  /** What the code threw, if that ended it: for reports. */
  readonly thrown?: unknown
  /** In workflows: the definition that the instance uses. */
  pinned?(): ProgramVersion | undefined
  /** The program gets a cancellation as an input, because it may have to compensate first. */
  readonly canCompensate?: boolean
  /** The program only compensates from now on, which no budget limits. */
  readonly isCompensating?: boolean
  /** In straight-line code: the JSON of `ctx.state`, which the turn records. */
  shownState?(): string | undefined
  /** Whether the code gets an event that it may wait for, or a message. */
  takes?(event: CloudEvent): boolean
  /** In straight-line code: the inline step that an open call asks for. */
  step?(call: string): InlineStep | undefined
  /** In tasks that several events may start: whether this one is among its inputs. */
  hasSeen?(event: CloudEvent): boolean
}

export interface ProgramVersion {
  readonly version: number
  readonly hash: string
}

/** A turn with the data of its inputs, and the events that it emitted. */
export interface RecordedTurn {
  readonly turn: Turn
  readonly emitted: readonly CloudEvent[]
}

/** Data of `task.turn`. */
export interface Turn {
  readonly program: string
  /** A worker with an older version of the program does not continue the task. */
  readonly programVersion: number
  readonly programHash: string
  readonly version: number
  readonly at: number
  readonly inputs: readonly CloudEvent[]
  readonly emits: readonly EmittedRef[]
  /**
   * The state after this turn if its JSON is small, else its digest in `stateHash`. In straight-line code, which has no snapshots: what it
   * shows in `ctx.state`, if that is not empty.
   */
  readonly state?: unknown
  readonly stateHash?: string
  /** Ids of the calls that the program cancelled. */
  readonly withdrawn?: readonly string[]
  /** When the first wait of the task times out, null for never. Absent in turns of early versions. */
  readonly wake?: number | null
  readonly end?: TaskEnd
  /** What the task spent up to and including this turn. */
  readonly spent?: Partial<Spending>
  /** The first task of the `continueAs` chain that this task belongs to. */
  readonly continues?: string
  /** The next task of the `continueAs` chain. */
  readonly successor?: string
  /** The failed task that this task retries. */
  readonly retryOf?: string
}

export type TaskEnd = 'completed' | 'failed' | 'cancelled' | 'continued'

/** A turn's reference to an event that it emitted. The event is stored next to the turn. */
export interface EmittedRef {
  readonly id: string
  readonly type: string
  readonly hash: string
  /** Set when the task waits for an answer to it. */
  readonly wait?: {
    readonly key?: string
    readonly target: string
    readonly until: number | null
    /** In a call that the runtime repeated after a fork: the id under which the program knows it. */
    readonly as?: string
  }
}

/** The `source` of the events of its tasks. Only workflows have a document. */
export const sourceOf = ({ name, document }: Pick<ProgramDefinition, 'name' | 'document'>) =>
  `/${document ? 'workflows' : 'agents'}/${name}`

/** A named version of a program. */
export interface ProgramDefinition {
  readonly name: string
  readonly version: number
  /** Digest of the code or definition, recorded in turns for reports; nothing depends on it. */
  readonly hash: string
  /** Types of the events that start a task, in addition to `agent.invoke` with `name` as its target. */
  readonly on: readonly string[]
  /** Where it is defined, as `path:line:column`. For reports. */
  readonly at?: string
  /** `redactor`: applied to the state. */
  machine(start: CloudEvent, redactor: Redactor, snapshot?: string): Machine
  /** In workflows: the events that its instances wait for. */
  readonly instances?: InstanceSubscription
  /** In workflows: the definition, stored under its hash. An instance keeps the definition that it started with. */
  readonly document?: { readonly key: string; readonly text: string }
  /** @throws E_PROGRAM_MISMATCH if the log does not have the definition */
  pinned?(hash: string, read: (key: string) => Promise<string | undefined>): Promise<ProgramDefinition>
  /** In straight-line code: types of the events that its tasks may wait for. */
  readonly waitsFor?: readonly string[]
  /** Straight-line code, which may have inline steps. */
  readonly isScript?: true
  /** Part of the runtime, such as the loop of a model agent: it may emit reserved types. */
  readonly isBuiltIn?: true
  /** Redacts what its tasks store. Default: built-in secret formats. */
  readonly redactor?: Redactor
}

/** The events that start or reach workflow instances, one per correlation or one per key. */
export interface InstanceSubscription {
  readonly types: readonly string[]
  /** Path of the key in the data, by event type. */
  readonly key?: Readonly<Record<string, readonly string[]>>
  /** Types that only instances of older definitions wait for. They start no instance. */
  readonly older?: readonly string[]
  /** @throws E_EVENT_INVALID if the data does not match the schema of its type */
  check?(event: CloudEvent): void
}

/** The input of a task: the `input` of an `agent.invoke`, the data of any other event. */
export function inputOf(start: Pick<CloudEvent, 'type' | 'data'>): unknown {
  return start.type === 'agent.invoke' ? (start.data as { input?: unknown } | null)?.input : start.data
}

/** An event as programs see it: without its trace context, which must not influence a decision. */
export function withoutTrace(event: CloudEvent): CloudEvent {
  if (event.traceparent === undefined) return event
  const { traceparent: _, ...programCopy } = event
  return programCopy
}

export interface ProgramMachineOptions<State> {
  readonly program: Program<State>
  readonly start: CloudEvent
  readonly redactor: Redactor
  /** As {@link ProgramMachine.snapshot} returned it. */
  readonly snapshot?: string | undefined
}

/** Runs three pure functions on copies of events and a state that is always JSON, so that a cached task equals a rebuilt one. */
export class ProgramMachine<State> implements Machine {
  readonly #program: Program<State>
  readonly #start: CloudEvent
  readonly #redactor: Redactor
  /** Created on first use: `init` may throw, which fails a turn. */
  #begun: { readonly state: State } | undefined
  #json: string | undefined
  readonly maxTurns = Infinity

  constructor({ program, start, redactor, snapshot }: ProgramMachineOptions<State>) {
    this.#program = program
    this.#start = start
    this.#redactor = redactor
    if (snapshot !== undefined) this.#state = JSON.parse(snapshot) as State
  }

  fold({ turn, emitted }: RecordedTurn) {
    this.#evolve(turn.inputs.map(seen))
    this.accepted(emitted)
  }

  decide(inputs: readonly CloudEvent[], ctx: TurnContext) {
    const own = inputs.map(seen)
    this.#evolve(own)
    this.#program.decide(copyOf(this.#state), own, ctx)
  }

  accepted(emitted: readonly CloudEvent[]) {
    this.#evolve(emitted.map(seen))
    const json = JSON.stringify(this.#state)
    this.#json = this.#redactor.json(json)
    if (this.#json !== json) this.#state = JSON.parse(this.#json) as State
  }

  snapshot() {
    return (this.#json ??= JSON.stringify(this.#state))
  }

  takes() {
    return true
  }

  get #state(): State {
    return (this.#begun ??= { state: stateFrom(this.#program.init(copyOf(this.#start))) }).state
  }

  set #state(state: State) {
    this.#begun = { state }
  }

  #evolve(events: readonly CloudEvent[]) {
    if (events.length === 0) return
    for (const event of events) this.#state = this.#program.evolve(this.#state, event)
    this.#state = stateFrom(this.#state)
  }
}

const stateFrom = <State>(state: State) => jsonOf(state, 'the state') as State

const seen = (event: CloudEvent) => copyOf(withoutTrace(event))
