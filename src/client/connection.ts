import { ClientError, refuse } from './errors.ts'

/** Where the gateway is, and who asks. */
export interface ConnectionOptions {
  /** Of the gateway, with the prefix under which it is mounted, such as `https://shop.example/api/tidings`. */
  readonly url: string | URL
  /** An API key or a token; a function is called for each request. Default, or undefined: none, or a cookie of the same origin. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>)
  /** Default: the global one. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** One request. */
export interface RequestOptions {
  readonly method?: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** How long to retry while no gateway answers, in ms. */
  readonly retryForMs?: number
}

const defaultRetryForMs = 30_000
const maxDelayMs = 10_000
/** What a gateway that is too busy, or a proxy without a gateway, answers. */
const temporary: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** Only browsers say when they are online again. */
const page = globalThis as Partial<EventTarget>

/** Sends requests to a gateway, and repeats those that no gateway answered. Every request must therefore be safe to repeat. */
export class GatewayConnection {
  readonly #options: ConnectionOptions
  readonly #base: string

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#base = String(options.url).replace(/\/*$/, '/')
  }

  /** Resolves with a successful response. @throws ClientError, and the reason of the signal */
  async send(path: string, { retryForMs = defaultRetryForMs, ...request }: RequestOptions = {}): Promise<Response> {
    const until = Date.now() + retryForMs
    for (let attempt = 0; ; attempt++) {
      const { response, error } = await this.#try(path, request)
      if (response?.ok) return response
      if (response && !temporary.has(response.status)) return refuse(response)
      // A date counts as nothing.
      const asked = Number(response?.headers.get('retry-after')) || 0
      const delay = Math.max(backoffMs(attempt), asked * 1_000)
      if (Date.now() + delay > until) return response ? refuse(response) : unreachable(this.#base, error)
      await response?.body?.cancel()
      await this.pause(delay, request.signal)
    }
  }

  /** Resolves early when the browser is online again. @throws the reason of the signal */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = () => resolve()
    const timer = setTimeout(wake, ms)
    page.addEventListener?.('online', wake)
    signal?.addEventListener('abort', wake)
    await promise
    clearTimeout(timer)
    page.removeEventListener?.('online', wake)
    signal?.removeEventListener('abort', wake)
    signal?.throwIfAborted()
  }

  async #try(path: string, request: RequestOptions): Promise<{ response?: Response; error?: unknown }> {
    const { method = 'GET', body, headers = {}, signal } = request
    const { token, fetch: send = fetch } = this.#options
    try {
      // A token may come from a server that cannot be reached either.
      const credential = typeof token === 'function' ? await token() : token
      const response = await send(this.#base + path, {
        method,
        headers: {
          ...headers,
          ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
        cache: 'no-store',
      })
      return { response }
    } catch (error) {
      signal?.throwIfAborted()
      return { error }
    }
  }
}

/** Doubles up to ten seconds, and differs between clients, which would otherwise all return at once. */
export const backoffMs = (attempt: number): number =>
  Math.min(250 * 2 ** attempt, maxDelayMs) * (0.5 + Math.random() / 2)

function unreachable(url: string, cause: unknown): never {
  throw Object.assign(
    new ClientError({
      code: 'E_GATEWAY_UNREACHABLE',
      message: `no gateway answered at ${url}: ${cause instanceof Error ? cause.message : String(cause)}`,
      next: 'Check the url and the network. The request may have been stored; repeat it with the same id or key.',
      retryable: true,
    }),
    { cause },
  )
}
