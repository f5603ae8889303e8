import type { CloudEvent } from '../event.ts'
import { failure, type ErrorData } from '../errors.ts'
import { answerTo, doneWith, failureAnswer } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { settledOrAborted } from '../bus/abort.ts'
import { consume, isStillAwaited, type RunningConsumer, type HandlerResult } from '../bus/delivery.ts'
import type { Delivery } from '../bus/driver.ts'
import { approvalType, deniedType, grantedType, type ApprovalAnswer, type ApprovalRequest } from '../tasks/approval.ts'
import type { ModelResult } from '../tasks/conversation.ts'
import { asRequested, effectKey, effectOf, EffectPolicies, replayTarget, type EffectPolicy } from '../tasks/effects.ts'
import { stepType } from '../tasks/step-request.ts'
import { RecordedAnswers, type ReadQuestion } from './recorded-answers.ts'

const source = '/replay'
const attempts = 5

/** Answers calls of a redrive or a fork that the effect policy keeps from tools, models and people: recorded, from a stub, or denied. */
export class ReplayStation {
  readonly #bus: Bus
  readonly #replays: EffectPolicies
  readonly #recorded: RecordedAnswers
  #consumer: RunningConsumer | undefined

  constructor(bus: Bus, questionOf: ReadQuestion) {
    this.#bus = bus
    this.#replays = new EffectPolicies(bus)
    this.#recorded = new RecordedAnswers(bus, questionOf)
  }

  async start(): Promise<void> {
    this.#consumer = await consume(this.#bus, {
      group: 'replay',
      filter: [{ types: ['tool.invoke', 'model.invoke', stepType, approvalType], targets: [replayTarget] }],
      maxInFlight: 64,
      from: 'beginning',
      maxDeliveries: attempts,
      handle: (event, delivery) => this.#handle(event, delivery),
      fail: (event, error) => [failedAnswer(asRequested(event), error.toJSON())],
    })
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#consumer?.pause()
    await settledOrAborted(this.#consumer?.drained() ?? Promise.resolve(), abort)
    await this.#consumer?.close()
  }

  async #handle(event: CloudEvent, delivery: Delivery): Promise<HandlerResult> {
    if (!(await isStillAwaited(this.#bus, delivery))) return { outcome: { kind: 'done' } }
    return doneWith(this.#bus, await this.#answer(asRequested(event)))
  }

  async #answer(request: CloudEvent): Promise<CloudEvent> {
    const key = effectKey(request)!
    const replay = request.replay ?? ''
    const policy = await this.#replays.get(replay)
    const effect = effectOf(policy, key)
    if (policy && effect === 'stub') return stubAnswer(request, key, policy)
    if (policy && effect === 'recorded') {
      const recorded = await this.#recorded.answerTo(request, policy)
      if (recorded) return answerTo(request, source, recorded.type, recorded.data)
      const problem = `${replay}: ${key} has no recorded answer to this request; ${allow(key, policy)}, or stub it`
      return failedAnswer(request, failure('E_REPLAY_UNRECORDED', problem))
    }
    const problem = `${replay || 'a replay without a policy'} denies ${key}; ${allow(key, policy)}`
    return failedAnswer(request, failure('E_REPLAY_DENIED', problem))
  }
}

const allow = (key: string, policy: EffectPolicy | undefined) =>
  policy?.kind === 'mirror'
    ? `allow it in the effects of strangler(): { '${key}': 'live' }`
    : `allow it with --effects ${key}=live`

function stubAnswer(request: CloudEvent, key: string, { stubs }: EffectPolicy): CloudEvent {
  const output = stubs?.[key] ?? null
  if (request.type === approvalType) return approvalAnswer(request, output === true)
  if (request.type === 'tool.invoke') return answerTo(request, source, 'tool.result', { output })
  if (request.type === stepType) return answerTo(request, source, 'step.result', { output })
  const result = typeof output === 'object' && output ? output : stubModelResult(request, output)
  return answerTo(request, source, 'model.result', result)
}

const stubModelResult = ({ target }: CloudEvent, output: unknown): ModelResult => ({
  model: target!,
  text: typeof output === 'string' ? output : JSON.stringify(output),
  toolCalls: [],
  finish: 'stop',
  usage: { input: 0, output: 0 },
})

function approvalAnswer(request: CloudEvent, isGranted: boolean): CloudEvent {
  const { hash } = request.data as ApprovalRequest
  const data: ApprovalAnswer = { by: source, at: new Date().toISOString(), hash }
  return answerTo(request, source, isGranted ? grantedType : deniedType, data)
}

const failedAnswer = (request: CloudEvent, error: ErrorData): CloudEvent =>
  request.type === approvalType
    ? answerTo(request, source, deniedType, { error })
    : failureAnswer(request, source, error)
