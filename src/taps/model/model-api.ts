import type { ModelResult } from '../../tasks/conversation.ts'
import type { ModelApiName, TappedMessage } from '../../tasks/tapped-model.ts'
import type { JsonObject } from '../json-read.ts'

/** What a request asks, in words that all protocols share. */
export interface AskedModel {
  readonly model: string | undefined
  readonly instructions?: string | undefined
  readonly messages: readonly TappedMessage[]
  readonly tools: readonly string[]
  readonly settings: Readonly<Record<string, unknown>>
  readonly isStream: boolean
  /** Who asks, as the request says. */
  readonly user?: string | undefined
  /** The id of the answer that it continues, at the provider. */
  readonly continues?: string | undefined
  /** The provider keeps the answer, so that a request may continue it by its id. */
  readonly isKept?: boolean
  /** The id of its conversation, at the provider. */
  readonly conversation?: string | undefined
}

/** What a model answered. */
export interface CollectedAnswer extends Omit<ModelResult, 'model' | 'cost'> {
  readonly model?: string | undefined
}

/** What was read of a response. */
export interface ReadAnswer {
  /** Of an answer that failed or broke off: what came of it. */
  readonly answer: CollectedAnswer
  /** Why the answer is none, or not complete. */
  readonly problem?: string | undefined
  /** There is more in the response than in the answer. */
  readonly isPartial?: boolean
}

/** Collects an answer from the events of a stream. */
export interface StreamCollector {
  /** `data` of an event. */
  add(data: string): void
  /** What has come so far. */
  read(): ReadAnswer
}

/** A protocol of a provider of models. */
export interface ModelApi {
  readonly name: ModelApiName
  /** Whether a POST to this path, without its query, is a call of a model. */
  readonly path: RegExp
  asked(body: JsonObject): AskedModel
  answer(body: JsonObject): ReadAnswer
  /** Undefined if its answers are not streamed. */
  readonly collect?: () => StreamCollector
  /** The body of an error, in the form of the provider. */
  errorBody(status: number, code: string, message: string): object
}

/** The message of an error that a provider sent. */
export function providerMessage({ error, message }: JsonObject): string | undefined {
  const inner = typeof error === 'object' && error !== null ? (error as JsonObject).message : error
  return [inner, message].find(each => typeof each === 'string')
}
