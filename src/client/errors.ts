import type { ErrorCode, ErrorData, ErrorDetails } from '../errors.ts'

/**
 * What the gateway or a task answered instead of a result, or that no gateway answered. Programs read `code`; docs/errors.md has all of them.
 * @example
 * try {
 *   for await (const { event } of browser.stream({ after: localStorage.getItem('cursor') ?? '0' })) show(event)
 * } catch (error) {
 *   if (!(error instanceof ClientError) || error.code !== 'E_CURSOR_EXPIRED') throw error
 *   show(`events up to ${error.data?.horizon} were removed`)
 * }
 */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** One that a newer gateway sends may be unknown to this version. */
  readonly code: ErrorCode
  /** What to do. */
  readonly next: string | undefined
  /** Whether a retry may succeed. */
  readonly retryable: boolean
  /** Details for a program, such as the `horizon` of a log. */
  readonly data: ErrorDetails | undefined
  /** Of the HTTP response; undefined if the error came in a stream, as the end of a task, or instead of a response. */
  readonly status: number | undefined

  constructor({ code, message, next, retryable = false, data }: ErrorData, status?: number) {
    super(message)
    this.code = code as ErrorCode
    this.next = next
    this.retryable = retryable
    this.data = data
    this.status = status
  }
}

/** @throws the error of a response */
export async function refuse(response: Response): Promise<never> {
  const text = await response.text().catch(() => '')
  throw new ClientError(errorIn(text) ?? notFromGateway(response), response.status)
}

function errorIn(text: string): ErrorData | undefined {
  try {
    return (JSON.parse(text) as { error?: ErrorData }).error
  } catch {
    return undefined
  }
}

const notFromGateway = ({ status, url }: Response): ErrorData => ({
  code: 'E_REQUEST_INVALID',
  message: `${url.split('?')[0]} answered with status ${status}, and not as a gateway`,
  next: 'Check the url that createClient() got, and what is between this client and the gateway.',
})
