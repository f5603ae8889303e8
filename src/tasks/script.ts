import { checkedData, type AnyEventType, type CloudEvent, type EventType } from '../event.ts'
import { failureData, TidingsError, type ErrorData } from '../errors.ts'
import { copyOf, jsonOf, type Json } from '../json.ts'
import { approvalRequest, type Approval } from './approval.ts'
import type { Timeout, Duration } from './duration.ts'
import { callOutcome } from './outcome.ts'
import { inputOf, type EmitRequest, type Machine, type RecordedTurn, type TurnContext } from './program.ts'
import { RepeatedTurn, type ScriptTurn } from './repeated-turn.ts'
import { TrackedPromise } from './tracked-promise.ts'
import { aCallRetry, type CallRetryOptions } from './retry.ts'
import {
  assertOutsideSteps,
  outsideSteps,
  stepOf,
  stepType,
  type InlineStep,
  type StepContext,
  type StepOptions,
} from './steps.ts'

/*
 * Straight-line code as a program. The running function is only a cache: after a crash, or on another worker, it runs again over the
 * recorded answers. A call is identified by scope path, name and ordinal within the scope, so that calls that start in another order
 * within a turn are still the same calls.
 *
 * The code gets copies, and what it passes is copied as JSON at the moment of the call, so that a replay sees the same values.
 */

/** Anything that can be called by name: what `tool()`, `agent()`, `workflow()`, `approval()` and `model()` return. */
export interface Callable<Input = unknown, Output = unknown> {
  readonly kind: 'tool' | 'agent' | 'model' | 'workflow' | 'approval'
  readonly name: string
  /** For the compiler only. */
  readonly '~types'?: { input: (input: Input) => void; output: Output }
}

/** The type of a request. A workflow is called like an agent. */
export const requestType = (kind: Exclude<Callable['kind'], 'approval'>) =>
  `${kind === 'workflow' ? 'agent' : kind}.invoke`

/** Options of one `ctx.call`. */
export interface CallOptions {
  /** Maximum wait for the answer, including time in queues. Default one day. */
  within?: Timeout
  /** How this call of a tool or a model is retried. Its fields replace those of the definition. Not for `atMostOnce` tools. */
  retry?: CallRetryOptions
}

/**
 * All that the code of a `run(ctx, input)` agent may await. Everything else belongs in a step or a tool. `Event`: what may start the agent;
 * `Again`: the input of its calls.
 */
export interface ScriptContext<Event extends CloudEvent = CloudEvent, Again = unknown> {
  /** The event that started the task. The data of a declared event type is what its schema makes of it, as in the input. */
  readonly event: Event
  /** The recorded time of the current turn, ms since the epoch. Use it instead of Date.now(). */
  readonly now: number
  /**
   * Calls a tool, agent, model, workflow or approver, and waits for the answer.
   *
   * @example
   * const { receipt } = await ctx.call(charge, { order, amount }, { within: '10m', retry: { maxAttempts: 5 } })
   * @throws CallError with the code of the failure
   */
  call<Input, Output>(target: Callable<Input, Output>, input: Input, options?: CallOptions): Promise<Output>
  /**
   * Runs code whose result is recorded, here and once: a request to a service, a query, a file. It runs again after a crash in
   * the middle, with the same idempotency key. Changes to variables outside of it are lost after a crash: return what you need.
   * @throws CallError with the code of the failure, such as E_TOOL_THREW or E_TOOL_TIMEOUT
   * @example
   * const rates = await ctx.step('fetch rates', () => fetch(url).then(response => response.json()), {
   *   timeout: '10s',
   *   retry: { maxAttempts: 5 },
   * })
   */
  step<Output>(
    name: string,
    run: (context: StepContext) => Output | Promise<Output>,
    options?: StepOptions,
  ): Promise<Output>
  /** Runs branches concurrently, each in its own scope. Rejects with the first failure. */
  all<T>(branches: readonly ((ctx: ScriptContext<Event, Again>) => Promise<T>)[]): Promise<T[]>
  /** Resolves or rejects with the first branch that ends. Calls of the others stay open until the task ends. */
  race<T>(branches: readonly ((ctx: ScriptContext<Event, Again>) => Promise<T>)[]): Promise<T>
  sleep(duration: Duration): Promise<void>
  /**
   * Publishes an event of a declared type. The log gets the data as given.
   *
   * @example
   * ctx.emit(booked, { order, amount })
   * @throws E_EVENT_INVALID with the path of the first fault, E_VALUE_INVALID if the data is not JSON
   */
  emit<Given>(type: EventType<unknown, Given>, data: NoInfer<Given>): void
  /**
   * Publishes an event whose type is known only at run time, or that is addressed to an agent. Its data is not checked.
   *
   * @example
   * ctx.emit({ type: `order.${state}`, data: { order } })
   */
  emit(emission: EmitRequest): void
  /** Ends this task and starts the agent with a new input and an empty journal. @throws E_AGENT_INPUT */
  continueAs(input: Again): never
}

/** The code of an agent. */
export type Script = (ctx: ScriptContext<never, never>, input: never) => unknown

/** Checks what starts a task, and gives the data for the code. May throw. */
type StartCheck = (start: Pick<CloudEvent, 'type' | 'data'>) => unknown

/** The failure of a call in a script. `code` is that of the failure. */
export class CallError extends Error {
  override readonly name = 'CallError'
  readonly data: ErrorData
  readonly code: string

  constructor(data: ErrorData) {
    super(`${data.code}: ${data.message}`)
    this.data = data
    this.code = data.code
  }
}

class Continue {
  readonly input: Json
  constructor(input: Json) {
    this.input = input
  }
}

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly answered: TrackedPromise<unknown>
  /** The name of what was called, for errors. */
  readonly name: string
  readonly step?: InlineStep | undefined
}

type Settled = { output: Json } | { error: unknown }

interface ScriptOptions {
  /** That of the agent. */
  readonly name: string
  readonly run: Script
  readonly maxTurns: number
  readonly check: StartCheck | undefined
}

export class ScriptMachine implements Machine {
  readonly name: string
  readonly maxTurns: number
  readonly #script: Script
  readonly #start: CloudEvent
  readonly #check: StartCheck | undefined
  /** The copy that the code gets, which may change it. */
  start: CloudEvent
  readonly #waiting = new Map<string, Waiter>()
  #turn: ScriptTurn | undefined
  now = 0
  #started = false
  #settled: Settled | undefined

  constructor({ name, run, maxTurns, check }: ScriptOptions, start: CloudEvent) {
    this.name = name
    this.#script = run
    this.#check = check
    this.#start = start
    this.start = copyOf(start)
    this.maxTurns = maxTurns
  }

  async fold(recorded: RecordedTurn) {
    const repeated = new RepeatedTurn(recorded)
    await this.#advance(recorded.turn.inputs, repeated)
    if (this.#settled && 'error' in this.#settled && isRefusal(this.#settled.error)) throw this.#settled.error
    if (!recorded.turn.end) repeated.finish()
  }

  async decide(inputs: readonly CloudEvent[], ctx: TurnContext) {
    await this.#advance(inputs, ctx)
    const settled = this.#settled
    if (!settled) {
      if (this.#waiting.size === 0) throw foreignAwait(this.#script)
    } else if ('output' in settled) {
      const forgotten = [...this.#waiting.values()].find(({ answered }) => !answered.isAwaited)
      if (forgotten) throw unawaitedCall(forgotten.name)
      ctx.complete(settled.output)
    } else if (settled.error instanceof Continue) ctx.continueAs(settled.error.input)
    else if (settled.error instanceof CallError) ctx.fail(settled.error.data)
    else ctx.fail(failureData(settled.error, 'E_PROGRAM_FAILED'))
  }

  accepted() {}

  get thrown() {
    const settled = this.#settled
    return settled && 'error' in settled && !(settled.error instanceof Continue) ? settled.error : undefined
  }

  snapshot() {
    return undefined
  }

  step(call: string): InlineStep | undefined {
    return this.#waiting.get(call)?.step
  }

  async #advance(inputs: readonly CloudEvent[], turn: ScriptTurn) {
    this.#turn = turn
    this.now = turn.now
    if (!this.#started) {
      this.#started = true
      const scope = new ScriptScope(this, '')
      const run = this.#script
      const begin = () => run(scope as never, this.#input() as never)
      new Promise(resolve => resolve(outsideSteps(begin)))
        .then(output => jsonOf(output, 'what run() returns'))
        .then(
          output => (this.#settled = { output }),
          error => (this.#settled = { error }),
        )
    }
    for (const input of inputs) {
      const waiter = this.#waiting.get(input.call ?? '')
      if (!waiter) continue
      this.#waiting.delete(input.call!)
      const outcome = copyOf(callOutcome(input))
      if ('error' in outcome) waiter.reject(new CallError(outcome.error))
      else waiter.resolve(outcome.output)
    }
    await quiescence()
    this.#turn = undefined
  }

  /** The input of the code. @throws what the schemas of the agent say about it */
  #input(): unknown {
    if (!this.#check) return copyOf(inputOf(this.#start))
    const data = this.#check(copyOf(this.#start))
    if (this.#start.type !== 'agent.invoke') this.start = { ...this.start, data }
    return data
  }

  /** Checks the input of the next task. @throws E_AGENT_INPUT */
  checkAgain(input: Json): Json {
    this.#check?.({ type: 'agent.invoke', data: { input: copyOf(input) } })
    return input
  }

  /** The turn under way. @throws E_STEP_CONTEXT in a step, E_SCRIPT_FOREIGN_AWAIT between turns */
  get turn(): ScriptTurn {
    assertOutsideSteps()
    if (!this.#turn) {
      this.#settled ??= { error: foreignAwait(this.#script) }
      throw foreignAwait(this.#script)
    }
    return this.#turn
  }

  wait(call: string, name: string, step?: InlineStep): Promise<unknown> {
    const { promise, resolve, reject } = TrackedPromise.withResolvers<unknown>()
    const answered = promise as TrackedPromise<unknown>
    this.#waiting.set(call, { resolve, reject, answered, name, step })
    // After a race the code may ignore this call, whose failure must not be reported as unhandled.
    answered.ignoreFailure()
    return answered
  }
}

/** Resolves when all promises of this process wait for external events. */
function quiescence(): Promise<void> {
  return new Promise(resolve => queueMicrotask(() => process.nextTick(resolve)))
}

function requestTo(target: Callable<never>, input: unknown, retry: CallRetryOptions | undefined) {
  if (!isCallable(target))
    throw new TidingsError(
      'E_APP_INVALID',
      'ctx.call() was given something that cannot be called: pass a tool, an agent, a model, a workflow or an approval',
    )
  if (retry !== undefined && target.kind !== 'tool' && target.kind !== 'model')
    throw invalidRetry(target, `a call of this ${target.kind} is not retried: it fails when its task does`)
  if (target.kind === 'approval') return approvalRequest(target.name, { input }, (target as Approval).approvers)
  const request = target.kind === 'model' ? (input as object) : { input }
  const data = retry === undefined ? request : { ...request, retry: checkedRetry(target, retry) }
  return { type: requestType(target.kind), target: target.name, data }
}

function checkedRetry(target: Callable<never>, retry: CallRetryOptions): CallRetryOptions {
  const problem = aCallRetry(retry)
  if (problem !== undefined) throw invalidRetry(target, problem)
  if ((target as { options?: { atMostOnce?: boolean } }).options?.atMostOnce)
    throw invalidRetry(target, 'the tool is atMostOnce, so it never starts twice')
  return retry
}

const invalidRetry = ({ name }: Callable<never>, problem: string) =>
  new TidingsError('E_APP_INVALID', `the option "retry" of the call of "${name}": ${problem}`)

const kinds: readonly unknown[] = ['tool', 'agent', 'model', 'workflow', 'approval'] satisfies Callable['kind'][]
const isCallable = (target: Callable<never> | undefined | null) =>
  kinds.includes(target?.kind) && typeof target?.name === 'string'

class ScriptScope implements ScriptContext {
  readonly #machine: ScriptMachine
  readonly #path: string
  readonly #ordinals = new Map<string, number>()

  constructor(machine: ScriptMachine, path: string) {
    this.#machine = machine
    this.#path = path
  }

  get event() {
    return this.#machine.start
  }

  get now() {
    return this.#machine.now
  }

  call<Input, Output>(target: Callable<Input, Output>, input: Input, options: CallOptions = {}): Promise<Output> {
    const { retry, ...bounds } = options
    const request = requestTo(target, input, retry)
    const id = this.#machine.turn.call({ ...request, key: this.#key(target.name), ...bounds })
    return this.#machine.wait(id, target.name) as Promise<Output>
  }

  step<Output>(name: string, run: InlineStep['run'], options: StepOptions = {}): Promise<Output> {
    const { turn, name: target } = this.#machine
    const step = stepOf(name, run, options)
    const { within } = options
    const request = { type: stepType, target, data: { step: name }, key: this.#key(`step/${name}`) }
    const id = turn.call({ ...request, ...(within !== undefined && { within }) })
    return this.#machine.wait(id, name, step) as Promise<Output>
  }

  async all<T>(branches: readonly ((ctx: ScriptContext) => Promise<T>)[]): Promise<T[]> {
    return Promise.all(this.#branch('all', branches))
  }

  async race<T>(branches: readonly ((ctx: ScriptContext) => Promise<T>)[]): Promise<T> {
    return Promise.race(this.#branch('race', branches))
  }

  sleep(duration: Duration): Promise<void> {
    return this.#machine.wait(this.#machine.turn.sleep(duration, this.#key('sleep')), 'sleep') as Promise<void>
  }

  emit(emission: EmitRequest | AnyEventType, data?: unknown) {
    const isTyped = 'kind' in emission
    this.#machine.turn.emit(isTyped ? { type: emission.type, data: checkedData(emission, data) } : emission)
  }

  continueAs(input: unknown): never {
    assertOutsideSteps()
    throw new Continue(this.#machine.checkAgain(jsonOf(input, 'the input of continueAs()')))
  }

  #branch<T>(name: string, branches: readonly ((ctx: ScriptContext) => Promise<T>)[]): Promise<T>[] {
    const path = this.#key(name)
    return branches.map((branch, i) => branch(new ScriptScope(this.#machine, `${path}[${i}]/`)))
  }

  #key(name: string): string {
    const ordinal = this.#ordinals.get(name) ?? 0
    this.#ordinals.set(name, ordinal + 1)
    return `${this.#path}${name}#${ordinal}`
  }
}

function foreignAwait(script: Script): TidingsError {
  const found = foreignAwaitIn(String(script))
  const what = found === undefined ? '' : `: look at "${found}"`
  return new TidingsError(
    'E_SCRIPT_FOREIGN_AWAIT',
    `run() awaits something other than ctx, such as fetch, a file or a timer${what}`,
  )
}

/** A hint: the first `await` in the source of a function that does not mention its context. */
function foreignAwaitIn(code: string): string | undefined {
  const ctx = /^[^(=]*\(\s*([\w$]+)|^(?:async\s+)?([\w$]+)\s*=>/.exec(code)
  const name = ctx?.[1] ?? ctx?.[2]
  const awaits = [...code.matchAll(/\bawait\s+[^\n;]{1,80}/g)].map(([text]) => text.trim())
  return awaits.find(text => name === undefined || !text.split(/[^\w$]+/).includes(name))
}

const unawaitedCall = (name: string) =>
  new TidingsError(
    'E_SCRIPT_UNAWAITED',
    `run() returned without awaiting its call of "${name}", which would be cancelled`,
  )

const isRefusal = (error: unknown) =>
  error instanceof TidingsError && (error.code === 'E_SCRIPT_FOREIGN_AWAIT' || error.code === 'E_PROGRAM_MISMATCH')
