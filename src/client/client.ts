import type { Askable } from '../ask/client.ts'
import type { OpenApproval } from '../tasks/approval-list.ts'
import { type ConnectionOptions, GatewayConnection } from './connection.ts'
import { streamEvents, type StreamedEvent, type StreamFilter } from './event-stream.ts'
import { type ClientPublished, PublishQueue, type QueueOptions } from './publish-queue.ts'
import { RemoteTask } from './remote-task.ts'

/** Where the gateway is, who asks, and how events wait for it. */
export interface ClientOptions extends ConnectionOptions, QueueOptions {}

/** The input of what is asked, if it is given as the type of an agent or workflow. */
export type AskedInput<Asked> = Asked extends Askable<infer Input, unknown> ? Input : unknown

/** The output of what is asked, which is given as the type of an agent or workflow, or as that of its output. */
export type AskedOutput<Asked> = Asked extends Askable<never, infer Output> ? Output : Asked

/** Options of one request. */
export interface ClientAskOptions {
  /** Name of a conversation of the user, which a model agent remembers. */
  readonly thread?: string
  /** With `thread`: the task that this request comes after, null for the beginning. Default: the newest one. */
  readonly after?: string | null
  /** How long the task may take, such as `10m`; then it is cancelled. */
  readonly deadline?: string
  /** A second request with this key, within 24 hours, is the same request. Default: a new one. */
  readonly idempotencyKey?: string
  /** Gives up sending the request. */
  readonly signal?: AbortSignal
}

/** A person's answer to a request for approval. */
export interface ClientDecision {
  /** Of what the person was shown. */
  readonly hash: string
  readonly comment?: string
  /** To approve a request with a `form`: what the user filled in. */
  readonly content?: Readonly<Record<string, unknown>>
}

/** Attributes of an event that a client publishes. */
export interface ClientEventOptions {
  /** A second event with the same id has no effect. Default: a new one. */
  readonly id?: string
  readonly subject?: string
  readonly correlationid?: string
}

/**
 * A client of a gateway for browsers, Node, Deno, Bun and workers. Requests are repeated while no gateway answers, for 30 seconds at most;
 * streams and published events for as long as it takes.
 * @example
 * const shop = createClient({ url: 'https://shop.example/api/tidings', token: () => sessionStorage.getItem('token')! })
 * const task = await shop.ask('helper', 'When is the shop open?')
 * show(await task.result())
 */
export const createClient = (options: ClientOptions): GatewayClient => new GatewayClient(options)

/** What `createClient` returns. */
export class GatewayClient {
  readonly #connection: GatewayConnection
  readonly #queue: PublishQueue

  constructor(options: ClientOptions) {
    this.#connection = new GatewayConnection(options)
    this.#queue = new PublishQueue(this.#connection, options)
  }

  /**
   * Asks an agent or workflow. Resolves when the request is durable. `Asked`: the type of the agent, which checks the input, or of its output.
   * @throws ClientError, and the reason of the signal
   * @example
   * const task = await browser.ask<typeof helper>('helper', 'When is the shop open?', { thread: 'help' })
   * for await (const part of task.stream()) if (part.type === 'text') show(part.text)
   */
  async ask<Asked = unknown>(
    agent: string,
    input: AskedInput<Asked>,
    { idempotencyKey = crypto.randomUUID(), signal, ...options }: ClientAskOptions = {},
  ): Promise<RemoteTask<AskedOutput<Asked>>> {
    const response = await this.#connection.send(`agents/${encodeURIComponent(agent)}`, {
      method: 'POST',
      body: { input, ...options },
      headers: { 'idempotency-key': idempotencyKey },
      signal,
    })
    return this.task(((await response.json()) as { task: string }).task)
  }

  /** A task that was requested before, by any client. @example const again = browser.task<string>(localStorage.getItem('task')!) */
  task<Output = unknown>(id: string): RemoteTask<Output> {
    return new RemoteTask(this.#connection, id)
  }

  /**
   * Events as they happen. The stream continues by itself after an interruption, without gap or duplicate among stored events.
   * @throws ClientError, such as E_CURSOR_EXPIRED, whose `data.horizon` says up to where events were removed
   * @example
   * for await (const { event, cursor } of browser.stream({ type: 'order.*', after: localStorage.getItem('cursor') ?? '0' })) {
   *   show(event)
   *   if (cursor) localStorage.setItem('cursor', cursor)
   * }
   */
  stream(filter: StreamFilter = {}): AsyncGenerator<StreamedEvent> {
    return streamEvents(this.#connection, filter)
  }

  /**
   * Publishes an event. Resolves when it is durable, which is later while the client is offline: until then the event waits in order, in memory
   * and in the `storage` of the client.
   * @throws ClientError if the gateway refuses it, E_BUSY if 10,000 events wait
   * @example await browser.publish('order.paid', { order: 'A-17', amount: 12 })
   */
  publish(type: string, data: unknown, options: ClientEventOptions = {}): Promise<ClientPublished> {
    return this.#queue.add({ id: crypto.randomUUID(), ...options, type, data })
  }

  /** How many published events wait for a gateway. */
  get waiting(): number {
    return this.#queue.size
  }

  /** Requests for approval that the user may answer. @throws ClientError @example for (const { id, what } of await browser.approvals()) show([id, what]) */
  async approvals(): Promise<readonly OpenApproval[]> {
    const response = await this.#connection.send('approvals')
    return ((await response.json()) as { approvals: OpenApproval[] }).approvals
  }

  /**
   * Grants a request for approval in the name of the user: the `call` of an `approval` part, or the id in a list.
   * @throws ClientError E_APPROVAL_CHANGED, E_APPROVAL_ANSWERED, E_APPROVAL_OVER, E_APPROVAL_FORBIDDEN
   * @example await browser.approve(call, { hash, comment: 'As discussed.' })
   */
  approve(id: string, decision: ClientDecision): Promise<void> {
    return this.#answer(id, 'grant', decision)
  }

  /** Denies a request for approval. @throws ClientError as `approve` @example await browser.deny(call, { hash }) */
  deny(id: string, decision: ClientDecision): Promise<void> {
    return this.#answer(id, 'deny', decision)
  }

  /** Stops publishing; what waits in the `storage` stays there for the next page. */
  close(): void {
    this.#queue.close()
  }

  async #answer(id: string, decision: 'grant' | 'deny', { hash, comment, content }: ClientDecision): Promise<void> {
    const body = { decision, hash, ...(comment !== undefined && { comment }), ...(content && { content }) }
    const headers = { 'idempotency-key': crypto.randomUUID() }
    await this.#connection.send(`approvals/${encodeURIComponent(id)}`, { method: 'POST', body, headers })
  }
}
