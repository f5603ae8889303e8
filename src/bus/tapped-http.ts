import type { ErrorData } from '../errors.ts'

/* The data of the events of an HTTP tap. `docs/wire-format.md` is normative. */

export const httpRequestType = 'http.request'
export const httpResponseType = 'http.response'

/** Data of `http.request`. */
export interface TappedRequest {
  readonly method: string
  /** As it was sent, without the query. */
  readonly path: string
  /** The route that it matched, such as `GET /reports/:id`. */
  readonly route: string
  /** The segments of the path that the route names. */
  readonly params: Readonly<Record<string, string>>
  /** A repeated parameter is a list. */
  readonly query: Readonly<Record<string, string | readonly string[]>>
  /** Names in lower case, without those that carry credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: TappedBody
}

/** Data of `http.response`. */
export interface TappedResponse {
  /** Absent if there was no response. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: TappedBody
  /** Why the response did not pass as a whole. */
  readonly error?: ErrorData
  /** From the arrival of the request to the end of the response. */
  readonly ms?: number
}

/** A body on the log: in one of four forms, or only its size and digest. */
export interface TappedBody {
  /** Size as it was sent. */
  readonly bytes: number
  readonly json?: unknown
  /** The fields of a form; a repeated field is a list. */
  readonly form?: Readonly<Record<string, string | readonly string[]>>
  readonly text?: string
  /** The blob with a body that is none of these. */
  readonly blob?: string
  /** Of a body that is not recorded: SHA-256 of what was sent, in hex. Absent if not all of it passed the tap. */
  readonly sha256?: string
}
