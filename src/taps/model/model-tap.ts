import type { ForwardListener, RequestHead } from '../forward.ts'
import { unreachableResponse } from '../proxy.ts'
import type { Recorder } from '../recorder.ts'
import type { OriginHeaders } from '../request-origin.ts'
import { CaptureRoom } from '../capture-room.ts'
import { anthropicMessages } from './anthropic.ts'
import { ConversationChain } from './conversation-chain.ts'
import { ModelExchange, type ExchangeContext } from './model-exchange.ts'
import type { ModelPrices } from './model-prices.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiEmbeddings } from './openai-embeddings.ts'
import { openaiResponses } from './openai-responses.ts'
import { SpendingLimit, type ModelBudget } from './spending-limit.ts'

/** What is recorded of calls of models, and what they may spend. */
export interface ModelTapOptions extends OriginHeaders {
  /** The tenant of its calls. Default: `default`. */
  readonly tenant?: string | undefined
  readonly prices?: ModelPrices
  /** For each correlation. */
  readonly budget?: ModelBudget
  /** Called when a correlation has spent its budget. */
  readonly onAlarm?: (text: string) => void
}

const apis = [openaiChat, openaiResponses, openaiEmbeddings, anthropicMessages]

/** Sees what passes between programs and models, and records each call with its answer. Other requests are only forwarded. */
export class ModelTap {
  readonly #context: ExchangeContext
  readonly #ending = new Set<Promise<void>>()

  constructor(recorder: Recorder, { prices = {}, budget = {}, onAlarm = () => {}, ...options }: ModelTapOptions = {}) {
    this.#context = {
      recorder,
      options,
      prices,
      chain: new ConversationChain(),
      limit: new SpendingLimit(budget),
      room: new CaptureRoom(),
      settled: () => Promise.all(this.#ending),
      onAlarm,
    }
  }

  observe(head: RequestHead): ForwardListener {
    const path = (head.url ?? '').split('?', 1)[0]!
    const api = head.method === 'POST' ? apis.find(each => each.path.test(path)) : undefined
    if (!api) return { unreachableResponse }
    return new ModelExchange(this.#context, api, head).listener(work => {
      this.#ending.add(work)
      void work.finally(() => this.#ending.delete(work))
    })
  }

  /** Resolves when the recorder has all ends. */
  async stop(): Promise<void> {
    await Promise.all(this.#ending)
  }
}
