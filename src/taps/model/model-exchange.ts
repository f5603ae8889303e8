import type { Bus } from '../../bus/bus.ts'
import { resultId } from '../../bus/ids.ts'
import { failure, TidingsError, type ErrorData } from '../../errors.ts'
import { defaultTenant } from '../../event.ts'
import type { ModelResult } from '../../tasks/conversation.ts'
import type { TappedExchange, TappedModelRequest } from '../../tasks/tapped-model.ts'
import type { ForwardEnd, ForwardListener, RefusalResponse, RequestHead, ResponseHead } from '../forward.ts'
import { credentialsIn, withoutCredentials } from '../credentials.ts'
import { recordedHeaders } from '../headers.ts'
import type { CaptureRoom, CaptureShare } from '../capture-room.ts'
import { BodyCollector } from '../http/body-collector.ts'
import type { RecordedCall, Recorder, TapCall } from '../recorder.ts'
import { requestOrigin, type OriginHeaders } from '../request-origin.ts'
import { subjectOf } from '../subject.ts'
import type { ConversationChain, ContinuedCall } from './conversation-chain.ts'
import type { AskedModel, CollectedAnswer, ModelApi } from './model-api.ts'
import { maxBodyBytes, readableMessages, requestBodyOf, type RequestBody } from './model-payload.ts'
import { costOf, type ModelPrices } from './model-prices.ts'
import { ModelResponse, type ReadResponse } from './model-response.ts'
import type { SpendingLimit } from './spending-limit.ts'

/** What the calls of one tap share. */
export interface ExchangeContext {
  readonly recorder: Recorder
  readonly options: OriginHeaders & { readonly tenant?: string | undefined }
  readonly prices: ModelPrices
  readonly chain: ConversationChain
  readonly limit: SpendingLimit
  readonly room: CaptureRoom
  /** Resolves when the responses that have passed are read: the next request may continue one of them. */
  readonly settled: () => Promise<unknown>
  readonly onAlarm: (text: string) => void
}

/** To what a call belongs. */
interface CallPlace extends Required<Pick<TapCall, 'tenant'>>, Pick<TapCall, 'correlationid' | 'user' | 'traceparent'> {
  readonly earlier: ContinuedCall | undefined
}

interface ReadRequest extends RequestBody {
  readonly asked: AskedModel
  readonly place: Promise<CallPlace>
  readonly call: RecordedCall
}

/** One call of a model that passes: records the request, and its answer. */
export class ModelExchange {
  readonly #context: ExchangeContext
  readonly #api: ModelApi
  readonly #incoming: RequestHead
  readonly #share: CaptureShare
  readonly #body: BodyCollector
  readonly #began = performance.now()
  readonly #n: number
  #request: ReadRequest | undefined
  #place: CallPlace | undefined
  #head: ResponseHead | undefined
  #headAt: number | undefined
  #response: ModelResponse | undefined

  constructor(context: ExchangeContext, api: ModelApi, incoming: RequestHead) {
    this.#context = context
    this.#share = context.room.share()
    this.#body = new BodyCollector(maxBodyBytes, this.#share)
    this.#api = api
    this.#incoming = incoming
    this.#n = context.recorder.arrive()
  }

  /** `onEnding`: gets the work that remains when the response has passed. */
  listener(onEnding: (work: Promise<void>) => void): ForwardListener {
    return {
      onRequestChunk: chunk => this.#request || this.#body.push(chunk),
      onRequestEnd: () => void this.#begin(true),
      onResponse: async head => {
        this.#headAt = performance.now()
        this.#head = head
        this.#response = new ModelResponse(this.#api, head.headers, this.#share)
        await this.#begin(false).call.durable()
      },
      onResponseChunk: chunk => this.#response?.push(chunk),
      onEnd: end => onEnding(this.#end(end)),
      unreachableResponse: error => ({
        status: 502,
        body: this.#api.errorBody(502, 'E_TAP_UPSTREAM', unreachableText(error)),
      }),
      ...(this.#context.limit.isEnforced && { admit: body => this.#admit(body) }),
    }
  }

  /** Before the body was complete if the upstream answers early. */
  #begin(isWhole: boolean): ReadRequest {
    if (this.#request) return this.#request
    const { recorder } = this.#context
    const collected = this.#body.end(isWhole)
    const body = requestBodyOf(collected, this.#incoming.headers['content-encoding'])
    const asked = inDeployment(this.#api.asked(body.json), this.#incoming.url)
    const place = this.#locate(asked)
    void place.then(found => (this.#place = found))
    const call = recorder.begin(bus => this.#call(bus, body, asked, place), collected.bytes?.length, this.#n)
    return (this.#request = { ...body, asked, place, call })
  }

  async #locate(asked: AskedModel): Promise<CallPlace> {
    const { chain, options, recorder, settled } = this.#context
    const named = requestOrigin(this.#incoming.headers, options, () => '')
    const tenant = named.tenant ?? options.tenant ?? defaultTenant
    const user = named.user ?? (isName(asked.user) ? asked.user : undefined)
    const owner = { tenant, ...(user !== undefined && { user }) }
    await settled()
    const found =
      (await recorder.read(bus => chain.find(bus, asked, owner))) ?? (await chain.find(undefined, asked, owner))
    const wanted = named.correlationid || chain.correlationOf(asked, owner)
    const correlationid = wanted ?? found?.correlationid ?? requestOrigin({}, {}).correlationid
    return {
      ...owner,
      correlationid,
      ...(named.traceparent !== undefined && { traceparent: named.traceparent }),
      earlier: found?.correlationid === correlationid ? found : undefined,
    }
  }

  async #call(bus: Bus, { payload }: RequestBody, asked: AskedModel, place: Promise<CallPlace>): Promise<TapCall> {
    const { earlier, ...about } = await place
    await this.#context.limit.refresh(bus, about.correlationid)
    const { rawHeaders, headers, url = '' } = this.#incoming
    const model = asked.model ?? 'unknown'
    const { messages, instructions, tools, settings, isStream } = asked
    const isContinued = earlier?.covered !== undefined
    const common = {
      api: this.#api.name,
      model,
      prev: isContinued ? earlier.call : null,
      total: messages.length,
      ...(isStream && { stream: true as const }),
    }
    const http = { path: withoutCredentials(url), headers: recordedHeaders(rawHeaders), body: payload }
    const data: TappedModelRequest = {
      prompt: readableMessages(messages.slice(earlier?.covered ?? 0), payload.bytes),
      ...common,
      ...(instructions !== undefined && { instructions: instructions.slice(0, maxInstructionChars).toWellFormed() }),
      ...(tools.length > 0 && { tools }),
      ...(Object.keys(settings).length > 0 && { settings }),
      http,
    }
    const { json: _, text: __, ...outline } = payload
    return {
      ...about,
      secrets: credentialsIn(headers, url),
      type: 'model.invoke',
      subject: subjectOf(bus.redactor, model),
      ...(earlier && { causationid: resultId(earlier.call) }),
      ...(earlier && !isContinued && { retryof: earlier.call }),
      data,
      outline: {
        ...common,
        prompt: [],
        http: { path: withoutCredentials(url).slice(0, 1_024), headers: {}, body: { ...outline, isCut: true } },
      },
    }
  }

  async #admit(body: Buffer): Promise<RefusalResponse | undefined> {
    this.#body.push(body)
    const { place, call } = this.#begin(true)
    const { limit, recorder } = this.#context
    const { correlationid } = await place
    await recorder.read(bus => limit.refresh(bus, correlationid))
    const why = limit.refusal(correlationid)
    if (why === undefined) return undefined
    call.end({ type: 'model.failed', data: { error: failure('E_BUDGET_EXCEEDED', why) } })
    this.#share.release()
    // The SDKs of both providers would ask again.
    return {
      status: 429,
      headers: { 'x-should-retry': 'false' },
      body: this.#api.errorBody(429, 'E_BUDGET_EXCEEDED', why),
    }
  }

  #end(end: ForwardEnd): Promise<void> {
    const request = this.#begin(false)
    const { promise, resolve } = Promise.withResolvers<void>()
    const finish = (response?: ReadResponse) => {
      const linked = this.#record(request, end, response)
      this.#share.release()
      void linked.catch(() => {}).then(resolve)
    }
    if (this.#response) this.#response.end(end.kind === 'complete', finish)
    else finish()
    return promise
  }

  /** Resolves when a request that continues the answer finds it. */
  async #record(request: ReadRequest, end: ForwardEnd, response: ReadResponse | undefined): Promise<void> {
    const { asked, call } = request
    const answer = response?.read?.answer
    const error = this.#errorOf(end, response)
    const http = this.#exchange(response)
    const result = answer && this.#resultOf(asked, answer)
    const isSaid = result !== undefined && (result.text !== '' || result.toolCalls.length > 0)
    const bytes = JSON.stringify(result ?? '').length
    if (error) call.end({ type: 'model.failed', data: { error, ...(isSaid && { partial: result }), http } }, bytes)
    else call.end({ type: 'model.result', data: { ...(result ?? unread(asked)), http } }, bytes)
    // Without waiting, if that is possible: the next request may be on its way.
    const place = this.#place ?? (await request.place)
    const { chain, recorder } = this.#context
    const { correlationid } = place
    const said = isSaid ? answer : undefined
    const hasFailed = error !== undefined
    recorder.keep(chain.remember({ asked, owner: place, answer: said, hasFailed, correlationid, call: call.id }))
    if (result) this.#spend(correlationid, result)
  }

  #resultOf(asked: AskedModel, answer: CollectedAnswer): ModelResult {
    const { prices } = this.#context
    const names = [asked.model, answer.response?.modelId].filter(name => name !== undefined)
    const cost = costOf(answer.usage, names, prices)
    return { ...answer, model: names[0] ?? 'unknown', ...(cost !== undefined && { cost }) }
  }

  #spend(correlationid: string, result: Pick<ModelResult, 'usage' | 'cost'>): void {
    const { limit, recorder, onAlarm } = this.#context
    const alarm = limit.spend(recorder.name, correlationid, result)
    if (!alarm) return
    recorder.note(alarm)
    onAlarm(limit.refusal(correlationid) ?? '')
  }

  #exchange(response: ReadResponse | undefined): TappedExchange {
    const { status, rawHeaders = [] } = this.#head ?? {}
    const since = (at: number) => Math.round(at - this.#began)
    return {
      ...(status !== undefined && { status, headers: recordedHeaders(rawHeaders) }),
      ...(response && { body: response.payload }),
      ...(this.#headAt !== undefined && { headMs: since(this.#headAt) }),
      ms: since(performance.now()),
    }
  }

  #errorOf(end: ForwardEnd, response: ReadResponse | undefined): ErrorData | undefined {
    if (end.kind === 'aborted') return failure('E_TAP_CANCELLED', 'the client went away before the answer was complete')
    if (end.kind === 'unreachable') return failure('E_TAP_UPSTREAM', unreachableText(end.error))
    if (end.kind === 'cut') return failure('E_TAP_UPSTREAM', `the response broke off: ${end.error.message}`)
    const { status = 0 } = this.#head ?? {}
    const { read, message } = response ?? {}
    const isGood = status >= 200 && status < 300
    const problem = isGood ? read?.problem : `${status}: ${message || this.#head?.reason || 'no text'}`
    if (problem === undefined) return undefined
    const retryable = isGood || status === 408 || status === 409 || status === 429 || status >= 500
    return new TidingsError('E_MODEL_FAILED', problem, { retryable }).toJSON()
  }
}

/** Azure names the model in the path. */
function inDeployment(asked: AskedModel, url = ''): AskedModel {
  const [, name] = /\/deployments\/([^/?]+)\//.exec(url) ?? []
  return asked.model !== undefined || name === undefined ? asked : { ...asked, model: name }
}

const maxInstructionChars = 16_384

/** A response that passed and could not be read: its size and digest are in `http.body`. */
const unread = ({ model = 'unknown' }: AskedModel) => ({
  model,
  text: '',
  toolCalls: [],
  finish: 'other',
  rawFinish: 'unread',
  usage: { input: 0, output: 0 },
})

const unreachableText = ({ message }: Error) => `the upstream did not answer: ${message}`

// biome-ignore lint/suspicious/noControlCharactersInRegex: an attribute has no control characters
const isName = (user: string | undefined) =>
  user !== undefined && /^[^\u0000-\u001f\u007f]{1,256}$/.test(user) && user.isWellFormed()
