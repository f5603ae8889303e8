import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import type { Span } from '@opentelemetry/api'
import { handedDown, type CloudEvent } from '../event.ts'
import { failureData, TidingsError } from '../errors.ts'
import { answerTo } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { backoff, type Handled } from '../bus/delivery.ts'
import type { Delivery } from '../bus/driver.ts'
import type { Pauses } from '../bus/pauses.ts'
import { RedactedText } from '../bus/redact-stream.ts'
import { traceModel } from '../bus/telemetry/work.ts'
import { Workers } from '../bus/workers.ts'
import { copyOf } from '../json.ts'
import type { ModelDefinition, ModelRequest, ModelResult } from '../tasks/conversation.ts'
import { milliseconds } from '../tasks/duration.ts'
import { Conversations } from './conversation.ts'
import { lacksReasoning } from './messages.ts'
import type { Model } from './model.ts'
import { modelError, step } from './step.ts'

const defaultTimeout = '5m'
const defaultAttempts = 5

/** Hosts models: `model.invoke` → one step → `model.result` or `model.failed`; text as `model.delta` signals on the way. */
export class ModelStation {
  readonly #bus: Bus
  readonly #models: readonly Model[]
  readonly #workers: Workers
  readonly #conversations: Conversations
  readonly #definitions = new Map<string, ModelDefinition>()

  constructor({ bus, models, pauses }: { bus: Bus; models: readonly Model[]; pauses: Pauses }) {
    this.#bus = bus
    this.#models = models
    this.#workers = new Workers(bus, pauses)
    this.#conversations = new Conversations(bus)
  }

  async start(): Promise<void> {
    await Promise.all(
      this.#models.map(model => {
        const { limit, rate } = model.options
        return this.#workers.host({
          kind: 'model',
          name: model.name,
          type: 'model.invoke',
          ...(limit !== undefined && { limit }),
          ...(rate && { rate: { count: rate.count, per: milliseconds(rate.per) } }),
          attempts: model.options.attempts ?? defaultAttempts,
          handle: (event, delivery, span) => this.#handle(model, event, delivery, span),
          fail: (event, error) => [fail(event, error)],
        })
      }),
    )
  }

  /** Takes no more requests, and lets those under way end; at the cut they are aborted, and others are handed them. */
  stop(cut?: AbortSignal): Promise<void> {
    return this.#workers.stop(cut)
  }

  async #handle(model: Model, event: CloudEvent, delivery: Delivery, delivering: Span | undefined): Promise<Handled> {
    const source = `/models/${model.name}`
    try {
      const result = await traceModel(
        { name: model.name, event, attempt: delivery.attempt, delivery: delivering },
        model.languageModel.provider,
        () => this.#ask(model, event),
      )
      return {
        outcome: { kind: 'done' },
        events: await this.#bus.encodeAll([answerTo(event, source, 'model.result', result)]),
      }
    } catch (thrown) {
      if (this.#workers.abandoned.aborted) throw thrown
      const { error, after } = modelError(thrown)
      if (error.retryable && delivery.attempt < (model.options.attempts ?? defaultAttempts))
        return { outcome: { kind: 'retry', after: after ?? backoff(delivery.attempt), reason: error.message } }
      return { outcome: { kind: 'done' }, events: await this.#bus.encodeAll([fail(event, error)]) }
    }
  }

  async #ask(model: Model, event: CloudEvent): Promise<ModelResult> {
    const definition = await this.#definition((event.data as ModelRequest).definition)
    // Definitions are remembered: the model gets a copy, which it may change.
    const { instructions, tools, output } = copyOf(definition)
    const prompt = await this.#conversations.prompt(event, instructions)
    const options: LanguageModelV4CallOptions = {
      prompt,
      // Anthropic refuses a turn that lacks a part of its thinking, unless thinking is off.
      ...(lacksReasoning(prompt) && { providerOptions: { anthropic: { thinking: { type: 'disabled' } } } }),
      abortSignal: AbortSignal.any([
        AbortSignal.timeout(milliseconds(model.options.timeout ?? defaultTimeout)),
        this.#workers.abandoned,
      ]),
      ...(tools.length > 0 && {
        tools: tools.map(({ name, description, input }) => ({
          type: 'function',
          name,
          description,
          inputSchema: input,
        })),
      }),
      ...(output && { responseFormat: { type: 'json', schema: output } }),
    }
    const said = new RedactedText(this.#bus.redactor, text =>
      this.#bus.signal({
        type: 'model.delta',
        source: `/models/${model.name}`,
        ...handedDown(event),
        subject: event.id,
        data: { text },
        ...(event.replyto !== undefined && { target: event.replyto }),
      }),
    )
    const result = await step(
      model.languageModel,
      options,
      text => said.push(text),
      bytes => this.#bus.putBlob(event.tenant, bytes),
    )
    said.end()
    const { price } = model.options
    return {
      model: model.name,
      ...result,
      ...(price && { cost: (result.usage.input * price.input + result.usage.output * price.output) / 1_000_000 }),
    }
  }

  async #definition(key: string): Promise<ModelDefinition> {
    let definition = this.#definitions.get(key)
    if (!definition) {
      const document = await this.#bus.driver.getDocument(key)
      if (!document) throw new TidingsError('E_MODEL_FAILED', `the request names ${key}, which is not there`)
      definition = JSON.parse(document.value) as ModelDefinition
      this.#definitions.set(key, definition)
    }
    return definition
  }
}

const fail = (event: CloudEvent, error: TidingsError) =>
  answerTo(event, `/models/${event.target}`, 'model.failed', { error: failureData(error, 'E_MODEL_FAILED') })
