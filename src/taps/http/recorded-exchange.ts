import type { IncomingHttpHeaders } from 'node:http'
import type { Bus } from '../../bus/bus.ts'
import { defaultTenant } from '../../event.ts'
import type { ErrorData } from '../../errors.ts'
import {
  httpRequestType,
  httpResponseType,
  type TappedBody,
  type TappedRequest,
  type TappedResponse,
} from '../../bus/tapped-http.ts'
import type { CaptureShare } from '../capture-room.ts'
import { credentialsIn } from '../credentials.ts'
import { recordedHeaders, type RawHeaders } from '../headers.ts'
import type { RecordedCall, Recorder } from '../recorder.ts'
import type { CallOrigin } from '../request-origin.ts'
import { subjectOf } from '../subject.ts'
import { BodyCollector, type CollectedBody } from './body-collector.ts'
import { bodyOutline, recordedBody } from './recorded-body.ts'
import { recordedFields } from './recorded-fields.ts'
import type { RouteMatch } from './routes.ts'

export interface ExchangeHead {
  readonly method: string
  /** Path and query, as they were sent. */
  readonly target: string
  readonly rawHeaders: RawHeaders
  readonly headers: IncomingHttpHeaders
  readonly match: RouteMatch
  /** To what it belongs, and for whom it is made. */
  readonly origin: CallOrigin
}

/** Records one exchange over HTTP, from what passes. */
export class RecordedExchange {
  readonly #recorder: Recorder
  readonly #head: ExchangeHead
  readonly #maxBytes: number
  readonly #share: CaptureShare
  readonly #began = performance.now()
  readonly #n: number
  readonly #requestBody: BodyCollector
  readonly #responseBody: BodyCollector
  #response: { readonly status: number; readonly rawHeaders: RawHeaders } | undefined
  #call: RecordedCall | undefined
  #isRequestWhole = false
  #hasEnded = false

  /** `maxBytes`: of larger bodies only size and digest are recorded. `share`: of the memory of all bodies. */
  constructor(recorder: Recorder, head: ExchangeHead, { maxBytes, share }: { maxBytes: number; share: CaptureShare }) {
    this.#recorder = recorder
    this.#head = head
    this.#maxBytes = maxBytes
    this.#share = share
    this.#n = recorder.arrive()
    this.#requestBody = new BodyCollector(maxBytes, share)
    this.#responseBody = new BodyCollector(maxBytes, share)
  }

  requestChunk(chunk: Uint8Array): void {
    if (!this.#call) this.#requestBody.push(chunk)
  }

  /** The whole body of the request has passed. */
  requestEnd(): void {
    this.#isRequestWhole = true
    this.#begin()
  }

  /** Resolves when the request is on the log, or has waited long enough. The response begins after that. */
  durable(): Promise<unknown> {
    return this.#begin().durable()
  }

  response(status: number, rawHeaders: RawHeaders): void {
    this.#response = { status, rawHeaders }
  }

  responseChunk(chunk: Uint8Array): void {
    this.#responseBody.push(chunk)
  }

  /** `error`: why not all of the response passed. Resolves when the tap no longer needs memory for it. */
  async end(error?: ErrorData): Promise<void> {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const call = this.#begin()
    const ms = Math.round(performance.now() - this.#began)
    const collected = this.#responseBody.end(error === undefined)
    const { status, rawHeaders = [] } = this.#response ?? {}
    const headers = recordedHeaders(rawHeaders)
    const body = this.#response && (await this.#bodyOf(collected, headers))
    const data: TappedResponse = {
      ...(status !== undefined && { status, headers }),
      ...(body && { body }),
      ...(error && { error }),
      ms,
    }
    call.end({ type: httpResponseType, data }, collected.bytes?.length)
    this.#share.release()
  }

  #bodyOf(collected: CollectedBody, headers: IncomingHttpHeaders, bus?: Bus): Promise<TappedBody | undefined> {
    const { tenant = defaultTenant } = this.#head.origin
    const put = async (log: Bus, bytes: Buffer) => (await log.putBlob(tenant, bytes)).blob
    return recordedBody(collected, headers, this.#maxBytes, bytes =>
      bus ? put(bus, bytes) : this.#recorder.read(log => put(log, bytes)),
    )
  }

  #begin(): RecordedCall {
    return (this.#call ??= this.#record(this.#requestBody.end(this.#isRequestWhole)))
  }

  #record(collected: CollectedBody): RecordedCall {
    const { method, target, rawHeaders, match, origin } = this.#head
    const [path = '', query = ''] = target.split(/\?(.*)/s, 2)
    const headers = recordedHeaders(rawHeaders)
    const request: TappedRequest = {
      method,
      path,
      route: match.route,
      params: match.params,
      query: recordedFields(query),
      headers,
    }
    return this.#recorder.begin(
      async bus => {
        const body = await this.#bodyOf(collected, headers, bus)
        return {
          ...origin,
          secrets: credentialsIn(this.#head.headers, target),
          type: httpRequestType,
          subject: subjectOf(bus.redactor, match.route),
          data: { ...request, ...(body && { body }) },
          outline: { ...request, ...(collected.length > 0 && { body: bodyOutline(collected) }) },
        }
      },
      collected.bytes?.length,
      this.#n,
    )
  }
}
