import type { StreamPart } from '../ask/parts.ts'
import type { RemoteTaskState } from '../ask/remote-task-state.ts'
import type { ErrorData } from '../errors.ts'
import { backoffMs, type GatewayConnection } from './connection.ts'
import { ClientError } from './errors.ts'
import { assertResumable, connections } from './event-stream.ts'
import { ResumedParts } from './resumed-parts.ts'
import { serverEvents } from './server-events.ts'

/** A requested task, which goes on whatever becomes of this client. */
export class RemoteTask<Output = unknown> {
  /** Keep it to find the task again: `client.task(id)`. */
  readonly id: string
  readonly #connection: GatewayConnection

  constructor(connection: GatewayConnection, id: string) {
    this.#connection = connection
    this.id = id
  }

  /**
   * The output, once the task has ended; it waits as long as that takes. `signal` ends the waiting, not the task.
   * @throws ClientError with the code of the failure, such as E_TASK_CANCELLED; E_NOT_FOUND; the reason of the signal
   * @example const answer = await task.result({ signal: AbortSignal.timeout(120_000) })
   */
  async result({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Output> {
    for (;;) {
      const request = { headers: { prefer: 'wait=30' }, signal, retryForMs: Infinity }
      const response = await this.#connection.send(`${this.#path}/result`, request)
      const { status, output, error } = (await response.json()) as RemoteTaskState
      if (status === 'completed') return output as Output
      if (error) throw new ClientError(error)
      // A gateway that stops may answer at once.
      await this.#connection.pause(backoffMs(0), signal)
    }
  }

  /**
   * What a user may want to see while the task runs, as `TaskHandle.stream` has it: text of models as it arrives, calls and their answers,
   * requests to people. A reader that joins late gets all of it; after an interruption the rest, once. Ends with the task or with the signal;
   * throws as `result` does.
   * @example
   * for await (const part of task.stream()) if (part.type === 'text') show(part.text)
   */
  async *stream({ signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<StreamPart> {
    const parts = new ResumedParts()
    for await (const response of connections(this.#connection, `${this.#path}/stream`, () => undefined, signal)) {
      parts.reconnect()
      for await (const { event, data } of serverEvents(response)) {
        if (signal?.aborted || event === 'result') return
        if (data === undefined || event === 'task' || event === 'closed') continue
        if (event === 'failed') throw new ClientError(JSON.parse(data) as ErrorData)
        assertResumable(event, data)
        yield* parts.add(JSON.parse(data) as StreamPart)
      }
    }
  }

  /** The task as it is now. @throws ClientError @example show((await task.state()).status) */
  async state({ signal }: { readonly signal?: AbortSignal } = {}): Promise<RemoteTaskState> {
    const response = await this.#connection.send(this.#path, { signal })
    return (await response.json()) as RemoteTaskState
  }

  /** Cancels the task with all that it called; no effect on a task that has ended. @throws ClientError @example await task.cancel('the user left') */
  async cancel(reason?: string): Promise<void> {
    const body = reason === undefined ? undefined : { reason }
    await this.#connection.send(this.#path, { method: 'DELETE', body })
  }

  /**
   * Sends a further message to the running task, which a model agent reads before it answers. Resolves when the message is durable.
   * @throws ClientError E_TASK_ENDED
   * @example await task.say('Only the newest prices, please.')
   */
  async say(message: unknown): Promise<void> {
    const headers = { 'idempotency-key': crypto.randomUUID() }
    await this.#connection.send(`${this.#path}/messages`, { method: 'POST', body: { message }, headers })
  }

  get #path(): string {
    return `tasks/${encodeURIComponent(this.id)}`
  }
}
