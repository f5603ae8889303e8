import type { CloudEvent, EventType } from '../event.ts'
import type { Duration, Timeout } from './duration.ts'
import type { EmitRequest } from './program.ts'
import type { CallRetryOptions } from './retry.ts'
import type { StepContext, StepOptions } from './steps.ts'
import type { TurnLog } from './turn-log.ts'
import type { EventWaitOptions } from './waits.ts'

/* What straight-line code is given. */

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
  /**
   * Runs branches concurrently, each in its own scope. Rejects with the first failure.
   * @example
   * const [stock, terms] = await ctx.all([
   *   branch => branch.call(helper, 'Is it in stock?'),
   *   branch => branch.call(helper, 'What are the terms?'),
   * ])
   */
  all<T>(branches: readonly ((ctx: ScriptContext<Event, Again>) => Promise<T>)[]): Promise<T[]>
  /**
   * Resolves or rejects with the first branch that ends. Calls of the others stay open until the task ends.
   * @example
   * const answer = await ctx.race([
   *   branch => branch.call(helper, 'When?'),
   *   branch => branch.sleep('1h').then(() => 'no answer within an hour'),
   * ])
   */
  race<T>(branches: readonly ((ctx: ScriptContext<Event, Again>) => Promise<T>)[]): Promise<T>
  /**
   * Waits, across restarts of the worker.
   * @example await ctx.sleep('3d')
   */
  sleep(duration: Duration): Promise<void>
  /**
   * Waits for an event of the same correlation, of a type that the agent declares in `waitsFor`. Events that came since the task began
   * count, each for one wait. Resolves with the data, or with undefined when no such event came in time.
   * @example
   * const payment = await ctx.waitFor(paid, { where: each => each.order === order, within: '30m' })
   * if (payment) ctx.emit(booked, payment)
   */
  waitFor<Data>(type: EventType<Data, unknown>, options?: EventWaitOptions<Data>): Promise<Data | undefined>
  waitFor(type: string, options?: EventWaitOptions): Promise<unknown>
  /** Lines for the log of the process. Each is written once, when its turn is accepted, and never when recorded turns are repeated. */
  readonly log: TurnLog
  /**
   * What the task shows of itself while it runs: small JSON that the code sets. Every turn records it, and `readTaskState`,
   * `tidings tasks` and `tidings show` read it.
   * @example
   * ctx.state.phase = 'paying'
   */
  readonly state: Record<string, unknown>
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
  /**
   * Ends this task and starts the agent with a new input and an empty journal.
   * @throws E_AGENT_INPUT
   * @example ctx.continueAs({ page: 2 })
   */
  continueAs(input: Again): never
}

/** The code of an agent. */
export type Script = (ctx: ScriptContext<never, never>, input: never) => unknown
