import type { RawHeaders } from './call.ts'
import type { StreamEvent } from './framing.ts'

/** An answer of a model, before an API gives it its form. */
export interface Answer {
  readonly id: string
  readonly model: string
  readonly text: string
  /** Arguments as they are sent: they may be no JSON. */
  readonly calls: readonly { readonly id: string; readonly name: string; readonly input: string }[]
  readonly finish: 'stop' | 'length' | 'tool-calls'
  readonly usage: {
    readonly input: number
    readonly output: number
    readonly cached: number
    readonly reasoning: number
  }
}

export type Message =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly answer: Answer }
  | { readonly role: 'tool'; readonly results: readonly { readonly id: string; readonly text: string }[] }

export interface Turn {
  readonly model: string
  readonly instructions: string
  readonly messages: readonly Message[]
  readonly tools: readonly string[]
  readonly stream: boolean
  /** Asks for the tokens of a stream, which some APIs report only then. */
  readonly streamUsage: boolean
}

/** How an API writes requests and answers. */
export interface Api {
  readonly name: 'chat' | 'responses' | 'messages'
  readonly path: string
  headers(secret: string): RawHeaders
  request(turn: Turn): object
  answer(answer: Answer): object
  /** `deltas`: the text in the pieces in which it is streamed; arguments are streamed in pieces, too. */
  events(answer: Answer, deltas: readonly string[], turn: Turn): StreamEvent[]
  error(status: number, message: string): object
}

/** A text in pieces, also between the halves of a character beyond 16 bits, where servers that count UTF-16 units cut it. */
export const slices = (text: string, length: number): string[] =>
  Array.from({ length: Math.ceil(text.length / length) }, (_, i) => text.slice(i * length, (i + 1) * length))

export const schemaOf = (name: string) => ({
  type: 'object',
  description: `Input of ${name}`,
  properties: { place: { type: 'string' }, days: { type: 'integer', minimum: 1 } },
  required: ['place'],
  additionalProperties: false,
})
