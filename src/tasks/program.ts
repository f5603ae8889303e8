import type { CloudEvent } from '../event.ts'
import type { ErrorData } from '../errors.ts'
import { plainRedactor, type Redactor } from '../bus/redact.ts'
import { copyOf, jsonOf } from '../json.ts'
import type { Spending } from './budget.ts'
import type { Timeout, Duration } from './duration.ts'

/*
 * A program decides in turns. A turn takes the inputs that wait for a task, folds them into the state, lets the
 * program decide, and is committed whole: its inputs, what it emitted, and what it waits for.
 *
 *     start event ──▶ turn 1 ──▶ calls … answers ──▶ turn 2 ──▶ … ──▶ completed | failed | cancelled
 *
 * Everything that a program sees is in its turns, so the same turns give the same state on any worker, at any time.
 */

/** What a program may do in a turn. Nothing takes effect before the turn is accepted. */
export interface TurnContext {
  readonly task: string
  /** The event that started the task. */
  readonly start: CloudEvent
  /** Version of this turn, from 1. */
  readonly version: number
  /** The moment of this turn, recorded with it: ms since the epoch. */
  readonly now: number
  /** Publishes an event; returns its id. */
  emit(emission: EmitRequest): string
  /** Asks and waits: the answer comes as an input whose `call` is the returned id. */
  call(request: CallRequest): string
  /** Waits: a `timer.fired` comes as an input whose `call` is the returned id. */
  sleep(duration: Duration, key?: string): string
  /** Takes back a call of an earlier turn: nobody waits for its answer any more. */
  cancelCall(call: string): void
  /** Ends the task; open calls are cancelled. */
  complete(output: unknown): void
  fail(error: ErrorData): void
  cancel(reason: string): void
  /** Ends the task and starts the same program with a new input; whoever waits for this task waits for that one. */
  continueAs(input: unknown): void
}

export interface EmitRequest {
  type: string
  data: unknown
  target?: string
  subject?: string
}

export interface CallRequest {
  type: string
  target: string
  data: unknown
  /** Longest wait for the answer, then a `call.expired` comes instead. Default one day. */
  within?: Timeout
  /** Recognises the call when the code runs again; unique within the task. */
  key?: string
}

/**
 * Three pure functions. `State` is JSON: after the inputs of a turn, and after its emissions, the program goes on with what JSON
 * keeps of it. It stays small, since it is written with every snapshot.
 */
export interface Program<State = unknown> {
  init(start: CloudEvent): State
  /** Folds an input, or an event that the task itself emitted, into the state. May change and return its argument. */
  evolve(state: State, event: CloudEvent): State
  /** Looks at a copy of the state, into which `inputs` are folded already, and records emissions and calls on `ctx`. */
  decide(state: State, inputs: readonly CloudEvent[], ctx: TurnContext): void
}

/** The hot form of one task. Fold repeats a recorded turn, decide makes a new one. */
export interface Machine {
  fold(turn: RecordedTurn): void | Promise<void>
  decide(inputs: readonly CloudEvent[], ctx: TurnContext): void | Promise<void>
  /** Called when the turn that was decided is accepted, with what it emitted. */
  accepted(emitted: readonly CloudEvent[]): void
  /** The state as JSON; undefined when only the journal itself can bring it back. */
  snapshot(): string | undefined
  readonly maxTurns: number
  /** What the code threw, where that ended it: for reports. */
  readonly thrown?: unknown
  /** Of workflows: the definition that it goes by. */
  pinned?(): PinnedDefinition | undefined
  /** A cancellation is an input like any other: something may have to be undone first. */
  readonly canCompensate?: boolean
  /** It undoes what it did, and asks for nothing else: no budget stands in its way. */
  readonly isCompensating?: boolean
  /** Of tasks that several events may begin: whether it has taken this one. */
  hasSeen?(event: CloudEvent): boolean
}

export interface PinnedDefinition {
  readonly version: number
  readonly hash: string
}

export interface RecordedTurn {
  readonly turn: Turn
  readonly inputs: readonly CloudEvent[]
  readonly emitted: readonly CloudEvent[]
}

/** What the log keeps of a turn, as the data of a `task.turn` event. */
export interface Turn {
  readonly program: string
  /** Version of the program: an older worker hands the task back. */
  readonly programVersion: number
  readonly programHash: string
  readonly version: number
  readonly at: number
  readonly inputs: readonly CloudEvent[]
  readonly emits: readonly EmittedRef[]
  /** The state after this turn, where its JSON is small; else `stateHash`, its digest. Absent when there is none. */
  readonly state?: unknown
  readonly stateHash?: string
  /** Calls that were taken back. */
  readonly withdrawn?: readonly string[]
  /** When the first of the task's waits ends after this turn. Absent in turns that are older than this rule. */
  readonly wake?: number | null
  readonly end?: TaskEnd
  /** What the task has spent up to this turn. */
  readonly spent?: Partial<Spending>
  /** The task that this one goes on from, by `continueAs`: the first of them all. */
  readonly continues?: string
  /** Of a task that goes on as another one: that. */
  readonly successor?: string
  /** The task that had failed, and that this one goes on from. */
  readonly retryOf?: string
}

export type TaskEnd = 'completed' | 'failed' | 'cancelled' | 'continued'

/** Of an emitted event a turn keeps only this; the event itself lies beside it. */
export interface EmittedRef {
  readonly id: string
  readonly type: string
  readonly hash: string
  /** Set when the task waits for an answer to it. */
  readonly wait?: {
    readonly key?: string
    readonly target: string
    readonly until: number | null
    /** Asked again after a fork: the id under which the program knows the call. */
    readonly as?: string
  }
}

/** What events of its tasks have as their source. Only workflows have a document. */
export const sourceOf = ({ name, document }: Pick<ProgramDefinition, 'name' | 'document'>) =>
  `/${document ? 'workflows' : 'agents'}/${name}`

/** A program under its name, as the engine hosts it. */
export interface ProgramDefinition {
  readonly name: string
  readonly version: number
  /** Digest of the code or definition: says which code decided, never decides anything itself. */
  readonly hash: string
  /** Types of events that start a task, beside `agent.invoke` addressed to `name`. */
  readonly on: readonly string[]
  /** Where it is defined, as `path:line:column`: for reports. */
  readonly at?: string
  /** `redactor`: of what its state does not hold in clear. */
  machine(start: CloudEvent, redactor: Redactor, snapshot?: string): Machine
  /** Of workflows: what its instances wait for. */
  readonly instances?: InstanceSubscription
  /** Of workflows: the definition under its hash. Instances stay with the one that they began with. */
  readonly document?: { readonly key: string; readonly text: string }
  /** @throws E_PROGRAM_MISMATCH when the log does not have the definition. */
  pinned?(hash: string, read: (key: string) => Promise<string | undefined>): Promise<ProgramDefinition>
  /** Code of the runtime, such as the loop of a model agent: it may emit types of the runtime's own families. */
  readonly isBuiltIn?: true
  /** What its tasks do not write in clear. Default: secrets that are known by their shape. */
  readonly redactor?: Redactor
}

/** Events that begin a task or go to one that has begun: one for each correlation, or one for each key. */
export interface InstanceSubscription {
  readonly types: readonly string[]
  /** Where the key lies in the data, by type. */
  readonly key?: Readonly<Record<string, readonly string[]>>
  /** What only instances of other definitions wait for: it begins none. */
  readonly older?: readonly string[]
}

/** The input of a task: of `agent.invoke` its `input`, of any other event its data. */
export function inputOf(start: CloudEvent): unknown {
  return start.type === 'agent.invoke' ? (start.data as { input?: unknown } | null)?.input : start.data
}

/** An event as programs see it: how it is traced decides nothing, and is in no state. */
export function withoutTrace(event: CloudEvent): CloudEvent {
  if (event.traceparent === undefined) return event
  const { traceparent: _, ...programCopy } = event
  return programCopy
}

/**
 * The machine of a program of three pure functions. Its events are copies, and its state is what the log says of it: whether
 * the task stays in memory or is brought back makes no difference.
 */
export class ProgramMachine<State> implements Machine {
  readonly #program: Program<State>
  readonly #start: CloudEvent
  readonly #redactor: Redactor
  /** Undefined until it is asked for: `init` may throw, which fails a turn. */
  #begun: { readonly state: State } | undefined
  #json: string | undefined
  readonly maxTurns = Infinity

  constructor(program: Program<State>, start: CloudEvent, redactor: Redactor = plainRedactor, snapshot?: string) {
    this.#program = program
    this.#start = start
    this.#redactor = redactor
    if (snapshot !== undefined) this.#state = JSON.parse(snapshot) as State
  }

  fold({ inputs, emitted }: RecordedTurn) {
    this.#evolve(inputs.map(seen))
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

/** A program's own copy of an event. */
const seen = (event: CloudEvent) => copyOf(withoutTrace(event))
