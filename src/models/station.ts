import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import type { Span } from '@opentelemetry/api'
import type { CloudEvent } from '../event.ts'
import { failureData, TidingsError } from '../errors.ts'
import { answerTo, doneWith, failureAnswer } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import type { HandlerResult } from '../bus/delivery.ts'
import { LogErrors } from '../bus/log-errors.ts'
import type { Pauses } from '../bus/pauses.ts'
import { delay, answerTimes, retriesOf, type Retries } from '../bus/retries.ts'
import { traceModel } from '../bus/telemetry/work.ts'
import { Workers } from '../bus/workers.ts'
import { copyOf } from '../json.ts'
import type { ModelDefinition, ModelRequest, ModelResult } from '../tasks/conversation.ts'
import { milliseconds } from '../tasks/duration.ts'
import { settingsIn, type ModelSettings } from '../tasks/model-settings.ts'
import { retryInRequest, RetryPolicy, type RetryOptions } from '../tasks/retry.ts'
import { textRequestType, type TextKind, type TextRequest } from '../tasks/text-delta.ts'
import { Circuit, type Cooldown } from './circuit.ts'
import { Conversations } from './conversation.ts'
import { lacksReasoning, toolsCalledIn, withCacheHints } from './messages.ts'
import type { Model } from './model.ts'
import { modelError, step, type ModelFailure, type StepListener } from './step.ts'
import { hiddenKinds, TextStream } from './text-stream.ts'

const defaultTimeout = '5m'
// Outages of providers last minutes.
const defaultRetryFor = '15m'

interface HostedModel extends Model {
  readonly source: string
  readonly policy: RetryPolicy
  /** Undefined if failed requests are not retried. */
  readonly circuit: Circuit | undefined
}

interface HandledRequest {
  readonly model: HostedModel
  readonly event: CloudEvent
  readonly retries: Retries
  readonly span?: Span | undefined
}

/** Hosts models: `model.invoke` → one step → `model.result` or `model.failed`. Streams text as `model.delta` signals. */
export class ModelStation {
  readonly #bus: Bus
  readonly #models: readonly HostedModel[]
  readonly #workers: Workers
  readonly #conversations: Conversations
  readonly #definitions = new Map<string, ModelDefinition>()
  readonly #hidden: ReadonlySet<TextKind>
  /** What models are writing here. */
  readonly #streams = new Set<TextStream>()
  #unsubscribe: (() => void) | undefined
  /** Errors of the log are not failures of the provider: the request is redelivered. */
  readonly #logErrors = new LogErrors()

  constructor({ bus, models, pauses }: { bus: Bus; models: readonly Model[]; pauses: Pauses }) {
    this.#bus = bus
    this.#models = models.map(model => {
      const policy = policyOf(model)
      const circuit = policy.retries ? new Circuit(bus, model.name) : undefined
      return { ...model, source: `/models/${model.name}`, policy, circuit }
    })
    this.#workers = new Workers(bus, pauses)
    this.#conversations = new Conversations(bus)
    this.#hidden = hiddenKinds(bus.redactor)
  }

  async start(): Promise<void> {
    this.#unsubscribe = this.#bus.onSignal([{ types: [textRequestType] }], ({ data }) => {
      for (const stream of this.#streams) stream.answer(Object(data) as TextRequest)
    })
    await Promise.all(
      this.#models.map(async model => {
        const { limit, rate } = model.options
        await model.circuit?.start()
        await this.#workers.host({
          kind: 'model',
          group: `model/${model.name}`,
          targets: [model.name],
          type: 'model.invoke',
          ...(limit !== undefined && { limit }),
          ...(rate && { rate: { count: rate.count, per: milliseconds(rate.per) } }),
          postpone: async (event, delivery) => {
            const cooldown = model.circuit?.cooldown()
            return cooldown && this.#postpone({ model, event, retries: retriesOf(delivery, this.#bus.now) }, cooldown)
          },
          handle: (event, delivery, span) =>
            this.#handle({ model, event, retries: retriesOf(delivery, this.#bus.now), span }),
          fail: (event, error) => [fail(event, error)],
        })
      }),
    )
  }

  /** Takes no more requests and waits for the running ones until `abort` fires, then returns the rest to other workers. */
  async stop(abort?: AbortSignal): Promise<void> {
    await this.#workers.stop(abort)
    this.#unsubscribe?.()
    for (const { circuit } of this.#models) circuit?.stop()
  }

  async #handle(handled: HandledRequest): Promise<HandlerResult> {
    const { model, event, retries, span } = handled
    const { circuit, source } = model
    const entry = await circuit?.admit()
    if (entry && !entry.mayAsk) return this.#postpone(handled, entry.cooldown)
    try {
      const result = await traceModel(
        { name: model.name, event, attempt: retries.failures + 1, delivery: span, redactor: this.#bus.redactor },
        model.languageModel.provider,
        () => this.#ask(model, event, () => void circuit?.answered(entry)),
      )
      const answer = answerTo(event, source, 'model.result', { ...result, ...answerTimes(retries) })
      return await this.#logErrors.from(doneWith(this.#bus, answer))
    } catch (thrown) {
      if (this.#logErrors.has(thrown) || this.#workers.abandoned.aborted) throw thrown
      const failure = modelError(thrown)
      if (failure.isRefusal) await circuit?.answered(entry)
      else await circuit?.failed(event.id, entry, failure)
      return this.#failed(handled, failure, thrown)
    }
  }

  async #failed(handled: HandledRequest, { error, after }: ModelFailure, thrown: unknown): Promise<HandlerResult> {
    const { model, event, retries } = handled
    const { circuit, source } = model
    if (!error.retryable) return doneWith(this.#bus, fail(event, error, retries))
    const next = { ...retries, failures: retries.failures + 1 }
    const retry = policyFor(model, event).next(event, next, thrown, Math.max(after ?? 0, circuit?.cooldown()?.ms ?? 0))
    if (retry.after !== undefined) return delay(this.#bus, event, { source, retries: next, after: retry.after, error })
    const last = retry.over === undefined ? error : giveUpError(error, next, retry.over)
    return doneWith(this.#bus, fail(event, last, retries))
  }

  /** Postpones a request while the circuit is open. It uses no slot and no attempt. */
  async #postpone({ model, event, retries }: HandledRequest, cooldown: Cooldown): Promise<HandlerResult> {
    const { source, name } = model
    const error = new TidingsError(
      'E_MODEL_UNAVAILABLE',
      `the provider of "${name}" has been failing since ${new Date(cooldown.since).toISOString()}: ${cooldown.reason}`,
      { retryable: true },
    )
    const retry = policyFor(model, event).postpone(event, retries, cooldown.ms)
    if (retry.after === undefined)
      return doneWith(this.#bus, fail(event, giveUpError(error, retries, retry.over), retries))
    const next = { ...retries, holds: retries.holds + 1 }
    const isSilent = retries.failures + retries.holds > 0
    return delay(this.#bus, event, { source, retries: next, after: retry.after, error, isSilent })
  }

  async #ask(model: Model, event: CloudEvent, onBegin: () => void): Promise<ModelResult> {
    const definition = await this.#logErrors.from(this.#definition((event.data as ModelRequest).definition))
    // A copy of the cached definition, which the model may change.
    const { instructions, tools: own, output, settings, cache } = copyOf(definition)
    const { toolChoice, summary } = event.data as ModelRequest
    const prompt = await this.#logErrors.from(this.#conversations.prompt(event, instructions))
    const ofUi = await this.#logErrors.from(this.#conversations.uiTools(event))
    const tools = [...own, ...ofUi.filter(({ name }) => !own.some(tool => tool.name === name))]
    const declared = tools.length > 0 ? tools : toolsCalledIn(prompt)
    const choice = summary || tools.length === 0 ? ({ type: 'none' } as const) : toolChoice
    const options: LanguageModelV4CallOptions = {
      ...callSettings(model.options, settings ?? {}, lacksReasoning(prompt) ? withoutThinking : {}),
      prompt: cache ? withCacheHints(prompt) : prompt,
      abortSignal: AbortSignal.any([
        AbortSignal.timeout(milliseconds(model.options.timeout ?? defaultTimeout)),
        this.#workers.abandoned,
      ]),
      // OpenAI rejects a choice without tools.
      ...(declared.length > 0 && {
        tools: declared.map(({ input: inputSchema, ...tool }) => ({ type: 'function', ...tool, inputSchema })),
        ...(choice && { toolChoice: { ...choice } }),
      }),
      ...(output && !summary && { responseFormat: { type: 'json', schema: output } }),
    }
    const result = await this.#streamed(event, listener =>
      step(model.languageModel, options, {
        ...listener,
        onBegin,
        storeBlob: bytes => this.#logErrors.from(this.#bus.putBlob(event.tenant, bytes)),
      }),
    )
    const { price } = model.options
    return {
      model: model.name,
      ...result,
      ...(price && { cost: (result.usage.input * price.input + result.usage.output * price.output) / 1_000_000 }),
    }
  }

  /** Runs a step whose text is streamed to readers. */
  async #streamed<T>(event: CloudEvent, run: (listener: Pick<StepListener, 'onPart'>) => Promise<T>): Promise<T> {
    const stream = new TextStream(this.#bus, event, this.#hidden)
    this.#streams.add(stream)
    try {
      const result = await run({ onPart: part => stream.add(part) })
      stream.end()
      return result
    } finally {
      stream.close()
      this.#streams.delete(stream)
    }
  }

  async #definition(key: string): Promise<ModelDefinition> {
    const definition = this.#definitions.get(key) ?? (await this.#bus.documents.read<ModelDefinition>(key))
    if (!definition)
      throw new TidingsError(
        'E_MODEL_FAILED',
        `the log has no document "${key}", which the model.invoke names as its definition`,
        { next: 'Start a worker that hosts the agent: it stores the document. Then `tidings retry TASK`.' },
      )
    this.#definitions.set(key, definition)
    return definition
  }
}

function callSettings(...settings: readonly ModelSettings[]) {
  const { stopSequences, ...merged } = settingsIn(...settings) ?? {}
  return { ...merged, ...(stopSequences && { stopSequences: [...stopSequences] }) }
}

// Anthropic rejects a turn that lacks a part of its thinking, unless thinking is off.
const withoutThinking: ModelSettings = { providerOptions: { anthropic: { thinking: { type: 'disabled' } } } }

const policyOf = ({ options }: Model, own?: RetryOptions) =>
  new RetryPolicy({ retryFor: defaultRetryFor, ...options.retry, ...own })

function policyFor(model: HostedModel, { data }: CloudEvent): RetryPolicy {
  const own = retryInRequest(data)
  return own ? policyOf(model, own) : model.policy
}

const giveUpError = (cause: TidingsError, { failures }: Retries, why: string | undefined) =>
  new TidingsError('E_MODEL_UNAVAILABLE', `${cause.message}. Gave up after ${failures} attempts: ${why}`, {
    cause,
    originalCode: cause.originalCode,
    retryable: true,
  })

const fail = (event: CloudEvent, error: TidingsError, retries?: Retries) =>
  failureAnswer(event, `/models/${event.target}`, failureData(error, 'E_MODEL_FAILED'), retries)
