/*
 * What one call of the trial sends, what the scripted server answers, and what a log must say about it afterwards. All of it follows from a seed.
 */

/** Names and values as they are sent: their order, case and repetitions count. */
export type Header = readonly [name: string, value: string]
export type RawHeaders = readonly Header[]

/** These headers, or none. */
export const when = (holds: boolean, ...headers: Header[]): Header[] => (holds ? headers : [])

export interface ScriptedRequest {
  readonly method: string
  readonly path: string
  readonly headers: RawHeaders
  /** Sent one by one. */
  readonly chunks: readonly Buffer[]
  /** Sends the next chunk only when the server has the one before. */
  readonly isInterlocked?: boolean
  /** Waits for `100 Continue` before it sends the body. */
  readonly awaitsContinue?: boolean
  /** Breaks the connection off after so many bytes of the body. */
  readonly abortAfter?: number
}

export interface ScriptedReply {
  readonly status: number
  readonly reason?: string
  readonly headers: RawHeaders
  /** Sent one by one. */
  readonly chunks: readonly Buffer[]
  readonly trailers?: RawHeaders
  readonly firstByteMs?: number
  /** Sends the next chunk only when the client has the one before: whoever holds bytes back is found out. */
  readonly isInterlocked?: boolean
  /**
   * `whole`; `reset`: the connection breaks off after the last chunk, before the head if there is none to send; `garbage`: the framing breaks;
   * `open`: the response ends when the client leaves.
   */
  readonly end: 'whole' | 'reset' | 'garbage' | 'open'
  /** Breaks off before the head. */
  readonly isHeadless?: boolean
  /** Answers without reading a body that the client announced with `Expect`. */
  readonly isEarly?: boolean
}

/** What the log must say about a call. */
export interface ExpectedRecord {
  /** Name of the model, as the request has it. */
  readonly subject: string
  /** Absent if either is right. */
  readonly end?: 'result' | 'failed'
  readonly text?: string
  readonly toolCalls?: readonly { readonly toolName: string; readonly input?: unknown; readonly malformed?: string }[]
  readonly usage?: { readonly input: number; readonly output: number }
  /** Of an error response. */
  readonly status?: number
}

export interface Call {
  /** In the trial. */
  readonly n: number
  readonly conversation: number
  /** Is in the last message of the request. A call that repeats a request has its tag. */
  readonly tag: string
  readonly kind: string
  readonly request: ScriptedRequest
  readonly reply: ScriptedReply
  /** The client leaves when it has so many bytes of the response. */
  readonly leaveAfter?: number
  /** Absent for what is no call of a model. */
  readonly expected?: ExpectedRecord
  /** A body of many megabytes. */
  readonly isLarge?: boolean
}

/** The name of the header by which the server finds the reply. */
export const callHeader = 'X-Trial-Call'
