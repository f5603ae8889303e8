import { settledOrAborted } from '../../bus/abort.ts'
import { answerTo, doneWith } from '../../bus/answer.ts'
import { consume, type HandlerResult, type RunningConsumer } from '../../bus/delivery.ts'
import { resultId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import type { Identity } from '../../gateway/identity/identity.ts'
import {
  operationCompletedType,
  operationFailedType,
  operationRequestedType,
  operationTarget,
} from '../../tasks/operation.ts'
import { parsedBy } from '../../schema.ts'
import { assertPermitted } from './authority.ts'
import type { OperationHost } from './execute.ts'

const source = '/operations'
const attempts = 6
const maxConcurrent = 4

/** Executes the commands of operators. One of all workers that host agents takes each; another one continues if it dies. */
export class OperationStation {
  readonly #host: OperationHost
  readonly #identity: Identity | undefined
  readonly #stopping = new AbortController()
  readonly #consumers: RunningConsumer[] = []

  /** `identity`: undefined without a policy. */
  constructor(host: Omit<OperationHost, 'signal'>, identity: Identity | undefined) {
    this.#host = { ...host, signal: this.#stopping.signal }
    this.#identity = identity
  }

  async start(): Promise<void> {
    const { bus, app } = this.#host
    // A redrive or fork needs the tools and models of its app, a replay its code; everything else any worker can do.
    for (const [group, target] of [
      ['operations', operationTarget()],
      [`operations/${app.name}`, operationTarget(app.name)],
    ] as const)
      this.#consumers.push(
        await consume(bus, {
          group,
          filter: [{ types: [operationRequestedType], targets: [target] }],
          maxInFlight: maxConcurrent,
          from: 'beginning',
          maxDeliveries: attempts,
          handle: event => this.#handle(event),
          fail: (event, error) => [failed(event, error)],
        }),
      )
  }

  async stop(abort?: AbortSignal): Promise<void> {
    for (const consumer of this.#consumers) consumer.pause()
    this.#stopping.abort()
    await settledOrAborted(Promise.all(this.#consumers.map(consumer => consumer.drained())), abort)
    for (const consumer of this.#consumers) await consumer.close()
    this.#identity?.close()
  }

  async #handle(event: CloudEvent): Promise<HandlerResult> {
    const { bus } = this.#host
    // After a crash, or in a log that was imported.
    if (await bus.get(resultId(event.id), event.correlationid)) return { outcome: { kind: 'done' } }
    return doneWith(bus, await this.#answer(event))
  }

  async #answer(event: CloudEvent): Promise<CloudEvent> {
    // Loaded with the first command, because most workers never get one.
    const { operationRequested } = await import('../../tasks/operation-request.ts')
    const { execute } = await import('./execute.ts')
    try {
      const requested = parsedBy(operationRequested, event.data, { code: 'E_REQUEST_INVALID', what: 'the operation' })
      await assertPermitted(this.#identity, event, requested)
      return answerTo(event, source, operationCompletedType, await execute(this.#host, event, requested.request))
    } catch (error) {
      // A fault of the log or of this code is retried.
      if (!(error instanceof TidingsError) || (error.retryable && error.code !== 'E_RETRY_REFUSED')) throw error
      return failed(event, error)
    }
  }
}

const failed = (event: CloudEvent, error: TidingsError) =>
  answerTo(event, source, operationFailedType, { error: error.toJSON() })
