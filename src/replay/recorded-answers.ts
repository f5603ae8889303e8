import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { correlationOf, parseId, resultId, turnId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { approvalType, type ApprovalRequest } from '../tasks/approval.ts'
import { canonicalJson } from '../tasks/canonical.ts'
import type { ModelRequest } from '../tasks/conversation.ts'
import { asCalled, effectKey, originalCorrelation, cacheEntry, type EffectPolicy } from '../tasks/effects.ts'
import { stepType } from '../tasks/step-request.ts'
import { digest } from '../tasks/turn.ts'

/** Reads the conversation of a `model.invoke` without event ids, so that equal questions are equal values. */
export type ReadQuestion = (request: CloudEvent) => Promise<unknown>

interface RecordedRequest {
  readonly request: CloudEvent
  readonly position: Position
}

interface RecordedCorrelation {
  /** Requests to tools, models, steps and people in log order, as their programs made them. */
  readonly questions: readonly RecordedRequest[]
  /** By id. */
  readonly answers: ReadonlyMap<string, CloudEvent>
}

const maxCorrelations = 8
const maxKeys = 10_000

/** Finds the recorded answer to the same request. */
export class RecordedAnswers {
  readonly #bus: Bus
  readonly #readQuestion: ReadQuestion
  readonly #recordings = new Map<string, RecordedCorrelation>()
  readonly #keys = new Map<string, string>()

  constructor(bus: Bus, questionOf: ReadQuestion) {
    this.#bus = bus
    this.#readQuestion = questionOf
  }

  /**
   * The answer to the same question in the original correlation. A question that was asked several times gets its answers in recorded
   * order, and then the last one repeatedly. A fork uses the answers after the turn that it starts from, if there are any.
   */
  async answerTo(request: CloudEvent, policy: EffectPolicy): Promise<CloudEvent | undefined> {
    const origin = originalCorrelation(policy, request.replay!, request.correlationid)
    const known = this.#recordings.get(origin)
    return (
      (known && (await this.#find(known, request, policy))) ??
      // The cached recording may be out of date.
      this.#find(cacheEntry(this.#recordings, origin, await this.#read(origin), maxCorrelations), request, policy)
    )
  }

  async #find({ questions, answers }: RecordedCorrelation, request: CloudEvent, policy: EffectPolicy) {
    const same: RecordedRequest[] = []
    for (const question of await this.#sameRequests(request, questions))
      if (answers.has(resultId(question.request.id))) same.push(question)
    const forkOffset = await this.#forkOffset(policy)
    const later = same.filter(question => !isBeforeFork(question, policy, forkOffset))
    const candidates = later.length > 0 ? later : same.slice(-1)
    const before = candidates.length > 1 ? await this.#askedBefore(request) : 0
    const chosen = candidates[Math.min(before, candidates.length - 1)]
    const answer = chosen && answers.get(resultId(chosen.request.id))
    return answer && this.#bus.resolve(answer)
  }

  async #sameRequests(request: CloudEvent, questions: readonly RecordedRequest[]): Promise<RecordedRequest[]> {
    // Models are compared by what they were asked, not by name.
    const nameOf = (asked: CloudEvent) => (asked.type === 'model.invoke' ? asked.type : effectKey(asked))
    const key = await this.#keyOf(request)
    const same: RecordedRequest[] = []
    for (const question of questions)
      if (nameOf(question.request) === nameOf(request) && (await this.#keyOf(question.request)) === key)
        same.push(question)
    return same
  }

  /** How often this redrive or fork has asked the same question before. */
  async #askedBefore(request: CloudEvent): Promise<number> {
    const { questions } = await this.#read(request.correlationid)
    const at = questions.findIndex(question => question.request.id === request.id)
    return (await this.#sameRequests(request, questions.slice(0, at))).length
  }

  /** Offset of the first turn that the fork decides again, in the partition of its correlation. */
  async #forkOffset({ of }: EffectPolicy): Promise<number> {
    if (!('task' in of) || of.version === 1) return 0
    return (await this.#bus.find(turnId(of.task, of.version), correlationOf(of.task)))?.position.offset ?? Infinity
  }

  async #read(correlation: string): Promise<RecordedCorrelation> {
    const questions: RecordedRequest[] = []
    const answers = new Map<string, CloudEvent>()
    for await (const { position, event } of this.#bus.read({ correlation })) {
      const request = asCalled(event)
      if (effectKey(request) !== undefined) questions.push({ request, position })
      else if (event.call !== undefined && event.id === resultId(event.call)) answers.set(event.id, event)
    }
    return { questions, answers }
  }

  async #keyOf(request: CloudEvent): Promise<string> {
    return this.#keys.get(request.id) ?? cacheEntry(this.#keys, request.id, await this.#keyFor(request), maxKeys)
  }

  async #keyFor(request: CloudEvent): Promise<string> {
    try {
      return await this.#digestOf(await this.#bus.resolve(request))
    } catch (error) {
      if (error instanceof TidingsError && error.retryable) throw error
      // The conversation is no longer on the log, so the request equals no other.
      return request.id
    }
  }

  async #digestOf(request: CloudEvent): Promise<string> {
    const data = request.data as Partial<ApprovalRequest & ModelRequest & { input: unknown; step: unknown }> | null
    if (request.type === 'tool.invoke') return digest(canonicalJson(data?.input))
    if (request.type === stepType) return digest(data?.step)
    if (request.type === approvalType) return digest(canonicalJson(data?.what))
    return digest(canonicalJson([data?.definition, await this.#readQuestion(request)]))
  }
}

/** Whether it was asked before the turn that the fork starts from. */
function isBeforeFork({ request, position }: RecordedRequest, { of }: EffectPolicy, forkOffset: number): boolean {
  if (!('task' in of)) return false
  const id = parseId(request.id)
  return id?.task === of.task ? id.version < of.version : position.offset < forkOffset
}
