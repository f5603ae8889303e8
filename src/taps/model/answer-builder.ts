import type { ModelResult, ModelToolCall } from '../../tasks/conversation.ts'
import type { CollectedAnswer, ReadAnswer } from './model-api.ts'

/** More of an answer is not kept, in UTF-16 units. The data of an event has at most 4 MiB. */
const maxChars = 1024 * 1024

interface GrowingCall {
  id: string | undefined
  name: string
  input: string
}

/** Puts an answer together from its pieces, in bounded memory. */
export class AnswerBuilder {
  model: string | undefined
  finish: string | undefined
  rawFinish: string | undefined
  usage: ModelResult['usage'] | undefined
  response: { id?: string; modelId?: string; timestamp?: string } = {}
  /** Why the provider says that it failed. */
  problem: string | undefined
  isComplete = false
  /** There was something that the answer has no place for. */
  isPartial = false
  #text = ''
  #reasoning = ''
  readonly #calls = new Map<string | number, GrowingCall>()
  #chars = 0

  text(piece: string | undefined): void {
    if (this.#fits(piece)) this.#text += piece
  }

  reasoning(piece: string | undefined): void {
    if (this.#fits(piece)) this.#reasoning += piece
  }

  /** `key`: the same for all pieces of a call. */
  call(
    key: string | number,
    { id, name, input }: { id?: string | undefined; name?: string | undefined; input?: string | undefined },
  ): void {
    let call = this.#calls.get(key)
    if (!call) {
      if (!this.#fits('call')) return
      this.#calls.set(key, (call = { id: undefined, name: '', input: '' }))
    }
    call.id ??= id || undefined
    if (this.#fits(name)) call.name += name
    if (this.#fits(input)) call.input += input
  }

  read(): ReadAnswer {
    const { problem, isComplete } = this
    return {
      answer: this.#answer(),
      problem: problem ?? (isComplete ? undefined : 'the response ended before the answer was complete'),
      ...(this.isPartial && { isPartial: true }),
    }
  }

  #answer(): CollectedAnswer {
    const { finish = 'other', rawFinish, usage } = this
    const toolCalls = [...this.#calls.values()].map((call, i) => toolCall(call, i, finish === 'length'))
    return {
      model: this.model,
      text: this.#text,
      ...(this.#reasoning && { reasoning: this.#reasoning }),
      toolCalls,
      finish,
      ...(rawFinish !== undefined && rawFinish !== finish && { rawFinish }),
      usage: usage ?? { input: 0, output: 0 },
      ...(!usage && this.isComplete && { warnings: [noUsage] }),
      ...(Object.keys(this.response).length > 0 && { response: this.response }),
    }
  }

  #fits(piece: string | undefined): piece is string {
    if (piece === undefined || piece === '') return false
    this.#chars += piece.length
    if (this.#chars <= maxChars) return true
    this.isPartial = true
    return false
  }
}

const noUsage = {
  type: 'other' as const,
  message: 'The response reports no usage. In streams of OpenAI it does with stream_options: { include_usage: true }.',
}

function toolCall({ id, name, input }: GrowingCall, i: number, isCut: boolean): ModelToolCall {
  const call = { toolCallId: id ?? `call ${i}`, toolName: name }
  if (input.trim() === '') return { ...call, input: {} }
  try {
    return { ...call, input: JSON.parse(input) as unknown }
  } catch {
    return { ...call, malformed: input, ...(isCut && { cut: true }) }
  }
}
