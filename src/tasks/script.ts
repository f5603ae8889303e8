import type { Redactor } from '../bus/redact.ts'
import type { CloudEvent } from '../event.ts'
import { errors, failureData, TidingsError, type ErrorCode, type ErrorData } from '../errors.ts'
import { copyOf, jsonOf, type Json } from '../json.ts'
import type { Timeout } from './duration.ts'
import { callOutcome } from './outcome.ts'
import { inputOf, type Machine, type RecordedTurn, type TurnContext } from './program.ts'
import { RepeatedTurn, type ScriptTurn } from './repeated-turn.ts'
import { TrackedPromise } from './tracked-promise.ts'
import type { Script } from './script-context.ts'
import { Continue, ScriptScope, type ScopeOwner } from './script-scope.ts'
import { assertOutsideSteps, outsideSteps, type InlineStep } from './steps.ts'
import { stateJson } from './task-state.ts'
import { turnLog, type TurnLog } from './turn-log.ts'
import { ReceivedInputs, type EventWait } from './waits.ts'

/*
 * Straight-line code as a program. The running function is only a cache: after a crash, or on another worker, it runs again over the
 * recorded answers. A call is identified by scope path, name and ordinal within the scope, so that calls that start in another order
 * within a turn are still the same calls.
 *
 * The code gets copies, and what it passes is copied as JSON at the moment of the call, so that a replay sees the same values.
 */

/** Checks what starts a task, and gives the data for the code. May throw. */
type StartCheck = (start: Pick<CloudEvent, 'type' | 'data'>) => unknown

/**
 * The failure of a call in a script, or of a task that was asked. `code` is that of the failure, `next` says what to do; `message` begins with the
 * code, and `data.message` does not.
 * @example
 * try {
 *   await ctx.call(charge, { order: 'A1', amount: 40 })
 * } catch (error) {
 *   if (!(error instanceof CallError) || error.code !== 'E_TOOL_THREW') throw error
 *   ctx.emit({ type: 'order.refused', data: { why: error.data.message } })
 * }
 */
export class CallError extends Error {
  override readonly name = 'CallError'
  readonly data: ErrorData
  readonly code: string
  readonly next: string | undefined

  constructor(data: ErrorData) {
    super(`${data.code}: ${data.message}`)
    this.data = data
    this.code = data.code
    this.next = data.next ?? (Object.hasOwn(errors, data.code) ? errors[data.code as ErrorCode] : undefined)
  }
}

/** A call that the code waits for. */
export interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly answered: TrackedPromise<unknown>
  /** The name of what was called, for errors. */
  readonly name: string
  readonly step?: InlineStep | undefined
  readonly wait?: EventWait
}

type Settled = { output: Json } | { error: unknown }

interface ScriptOptions {
  /** That of the agent. */
  readonly name: string
  readonly run: Script
  readonly maxTurns: number
  readonly check: StartCheck | undefined
  readonly waitsFor: readonly string[]
  readonly redactor: Redactor
}

export class ScriptMachine implements Machine, ScopeOwner {
  readonly name: string
  readonly maxTurns: number
  readonly waitsFor: readonly string[]
  readonly state: Record<string, unknown> = {}
  readonly #redactor: Redactor
  readonly #received: ReceivedInputs | undefined
  #log: TurnLog | undefined
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

  constructor({ name, run, maxTurns, check, waitsFor, redactor }: ScriptOptions, start: CloudEvent) {
    this.name = name
    this.waitsFor = waitsFor
    this.#redactor = redactor
    if (waitsFor.length > 0) this.#received = new ReceivedInputs(waitsFor, start)
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

  shownState() {
    return stateJson(this.state, this.#redactor)
  }

  get log(): TurnLog {
    return (this.#log ??= turnLog(line => this.turn.log(line)))
  }

  takes(event: CloudEvent): boolean {
    return this.#received?.takes(event) ?? false
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
      if (this.takes(input)) this.#received!.add(input)
      const waiter = this.#waiting.get(input.call ?? '')
      if (!waiter) continue
      this.#waiting.delete(input.call!)
      const outcome = copyOf(callOutcome(input))
      if (waiter.wait) waiter.resolve(undefined)
      else if ('error' in outcome) waiter.reject(new CallError(outcome.error))
      else waiter.resolve(outcome.output)
    }
    if (this.#received) this.#endWaits(turn, this.#received)
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

  /** Ends the waits that an event answers, the oldest first. */
  #endWaits(turn: ScriptTurn, received: ReceivedInputs) {
    for (const [call, { wait, resolve }] of this.#waiting) {
      const match = wait && received.take(wait)
      if (!match) continue
      this.#waiting.delete(call)
      turn.cancelCall(call)
      resolve(match.data)
    }
  }

  /** The data of an event that came already, or the wait for one. */
  waitFor(wait: EventWait, within: Timeout | undefined, key: string): Promise<unknown> {
    const { turn } = this
    const match = this.#received?.take(wait)
    if (match) return TrackedPromise.resolve(match.data)
    return this.wait(turn.awaitEvent(wait.type, within, key), wait.type, { wait })
  }

  wait(call: string, name: string, more: Pick<Waiter, 'step' | 'wait'> = {}): Promise<unknown> {
    const { promise, resolve, reject } = TrackedPromise.withResolvers<unknown>()
    const answered = promise as TrackedPromise<unknown>
    this.#waiting.set(call, { resolve, reject, answered, name, ...more })
    // After a race the code may ignore this call, whose failure must not be reported as unhandled.
    answered.ignoreFailure()
    return answered
  }
}

/** Resolves when all promises of this process wait for external events. */
function quiescence(): Promise<void> {
  return new Promise(resolve => queueMicrotask(() => process.nextTick(resolve)))
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
