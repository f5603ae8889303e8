import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId, resultId, turnId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { approvalType, type ApprovalRequest } from '../tasks/approval.ts'
import { canonicalJson } from '../tasks/canonical.ts'
import type { ModelRequest } from '../tasks/conversation.ts'
import { asRequested, effectKey, originalCorrelation, cacheEntry, type EffectPolicy } from '../tasks/effects.ts'
import { digest } from '../tasks/turn.ts'

/** What a `model.invoke` asks: the same for the same conversation, whatever the ids of its events are. */
export type ReadQuestion = (request: CloudEvent) => Promise<unknown>

interface RecordedRequest {
  readonly request: CloudEvent
  readonly position: number
}

interface RecordedCorrelation {
  /** Requests of tools, models and people, as they were asked, in the order of the log. */
  readonly questions: readonly RecordedRequest[]
  /** By the id of the answer. */
  readonly answers: ReadonlyMap<string, CloudEvent>
}

const maxCorrelations = 8
const maxKeys = 10_000

/** Finds what was answered when the same was asked. */
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
   * The answer to the same question in the correlation that is done again. What was asked several times is answered in that
   * order, and after that with the last answer; a fork goes on behind the turn from which it was made.
   */
  async answerTo(request: CloudEvent, terms: EffectPolicy): Promise<CloudEvent | undefined> {
    const origin = originalCorrelation(terms, request.replay!, request.correlationid)
    const known = this.#recordings.get(origin)
    return (
      (known && (await this.#find(known, request, terms))) ??
      // More may have been recorded since.
      this.#find(cacheEntry(this.#recordings, origin, await this.#read(origin), maxCorrelations), request, terms)
    )
  }

  async #find({ questions, answers }: RecordedCorrelation, request: CloudEvent, terms: EffectPolicy) {
    const same: RecordedRequest[] = []
    for (const question of await this.#sameRequests(request, questions))
      if (answers.has(resultId(question.request.id))) same.push(question)
    const cut = await this.#forkPosition(terms)
    const later = same.filter(question => !isBeforeFork(question, terms, cut))
    const candidates = later.length > 0 ? later : same.slice(-1)
    const before = candidates.length > 1 ? await this.#askedBefore(request) : 0
    const chosen = candidates[Math.min(before, candidates.length - 1)]
    const answer = chosen && answers.get(resultId(chosen.request.id))
    return answer && this.#bus.resolve(answer)
  }

  async #sameRequests(request: CloudEvent, questions: readonly RecordedRequest[]): Promise<RecordedRequest[]> {
    const name = effectKey(request)
    const key = await this.#keyOf(request)
    const same: RecordedRequest[] = []
    // A model is the same whatever its name, if it was asked the same.
    for (const question of questions)
      if (
        question.request.type === request.type &&
        (request.type === 'model.invoke' || effectKey(question.request) === name)
      )
        if ((await this.#keyOf(question.request)) === key) same.push(question)
    return same
  }

  /** How often the same was asked before in this redrive or fork. */
  async #askedBefore(request: CloudEvent): Promise<number> {
    const { questions } = await this.#read(request.correlationid)
    const before = questions.slice(
      0,
      questions.findIndex(question => question.request.id === request.id),
    )
    return (await this.#sameRequests(request, before)).length
  }

  /** Position from which on a fork begins anew. */
  async #forkPosition({ of }: EffectPolicy): Promise<number> {
    if (!('task' in of) || of.version === 1) return 0
    return (await this.#bus.driver.get(turnId(of.task, of.version), correlationOf(of.task)))?.position ?? Infinity
  }

  async #read(correlation: string): Promise<RecordedCorrelation> {
    const questions: RecordedRequest[] = []
    const answers = new Map<string, CloudEvent>()
    for await (const { position, event } of this.#bus.read({ correlation })) {
      const request = asRequested(event)
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
      // What it was asked is no longer on the log: it is like nothing else.
      return request.id
    }
  }

  async #digestOf(request: CloudEvent): Promise<string> {
    if (request.type === 'tool.invoke')
      return digest(canonicalJson((request.data as { input?: unknown } | null)?.input))
    if (request.type === approvalType)
      return digest(canonicalJson((request.data as Partial<ApprovalRequest> | null)?.what))
    return digest(canonicalJson([(request.data as ModelRequest).definition, await this.#readQuestion(request)]))
  }
}

/** Asked before the turn from which a fork was made. */
function isBeforeFork({ request, position }: RecordedRequest, { of }: EffectPolicy, cut: number): boolean {
  if (!('task' in of)) return false
  const id = parseId(request.id)
  return id?.task === of.task ? id.version < of.version : position < cut
}
