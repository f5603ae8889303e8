import { TidingsError } from '../errors.ts'
import { checkedData, type AnyEventType, type CloudEvent, type EventType } from '../event.ts'
import { jsonOf, type Json } from '../json.ts'
import { approvalRequest, type Approval } from './approval.ts'
import type { Duration, Timeout } from './duration.ts'
import type { EmitRequest } from './program.ts'
import { requestType, type Callable, type CallOptions, type ScriptContext } from './script-context.ts'
import { aCallRetry, type CallRetryOptions } from './retry.ts'
import { stepType } from './step-request.ts'
import { assertOutsideSteps, stepOf, type InlineStep, type StepOptions } from './steps.ts'
import type { ScriptTurn } from './repeated-turn.ts'
import type { TurnLog } from './turn-log.ts'
import { EventWait, type EventWaitOptions } from './waits.ts'

/** The task that a scope belongs to. */
export interface ScopeOwner {
  /** That of the agent. */
  readonly name: string
  readonly waitsFor: readonly string[]
  readonly start: CloudEvent
  readonly now: number
  readonly log: TurnLog
  readonly state: Record<string, unknown>
  /** The turn under way. @throws E_STEP_CONTEXT in a step, E_SCRIPT_FOREIGN_AWAIT between turns */
  readonly turn: ScriptTurn
  /** The answer to a call. */
  wait(call: string, name: string, more?: { readonly step?: InlineStep }): Promise<unknown>
  waitFor(wait: EventWait, within: Timeout | undefined, key: string): Promise<unknown>
  checkAgain(input: Json): Json
}

/** Thrown by `continueAs`. */
export class Continue {
  readonly input: Json
  constructor(input: Json) {
    this.input = input
  }
}

function requestTo(target: Callable<never>, input: unknown, retry: CallRetryOptions | undefined) {
  if (!isCallable(target))
    throw new TidingsError(
      'E_APP_INVALID',
      'ctx.call() was given something that cannot be called: pass a tool, an agent, a model, a workflow or an approval',
    )
  if (retry !== undefined && target.kind !== 'tool' && target.kind !== 'model')
    throw invalidRetry(target, `a call of this ${target.kind} is not retried: it fails when its task does`)
  if (target.kind === 'approval') return approvalRequest(target.name, { input }, target as Approval)
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

/** The context of the code, or of one of its branches. A call is identified by the path of its scope. */
export class ScriptScope implements ScriptContext {
  readonly #machine: ScopeOwner
  readonly #path: string
  readonly #ordinals = new Map<string, number>()

  constructor(machine: ScopeOwner, path: string) {
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
    return this.#machine.wait(id, name, { step }) as Promise<Output>
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

  waitFor<Data>(target: string | EventType<Data, unknown>, options: EventWaitOptions<Data> = {}) {
    const wait = new EventWait(this.#machine, target, options)
    return this.#machine.waitFor(wait, options.within, this.#key(`event/${wait.type}`)) as Promise<Data | undefined>
  }

  get log() {
    return this.#machine.log
  }

  get state() {
    assertOutsideSteps()
    return this.#machine.state
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
