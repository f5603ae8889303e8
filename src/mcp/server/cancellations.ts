import { hash } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import type { McpCaller } from './caller.ts'

const cancelledType = 'mcp.cancelled'

/**
 * Requests of the 2025 era that wait in this process, and that their client cancels in another request, which may reach another gateway: a
 * signal tells all of them.
 */
export class Cancellations {
  readonly #bus: Bus
  readonly #waiting = new Map<string, AbortController>()
  readonly #unsubscribe: () => void

  constructor(bus: Bus) {
    this.#bus = bus
    this.#unsubscribe = bus.onSignal([{ types: [cancelledType] }], ({ subject }) => this.#abort(subject))
  }

  expect(request: CancellableRequest): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
    const key = keyOf(request)
    const controller = new AbortController()
    this.#waiting.set(key, controller)
    const { signal } = controller
    return { signal, [Symbol.dispose]: () => void this.#waiting.delete(key) }
  }

  cancel(request: CancellableRequest): void {
    const subject = keyOf(request)
    this.#abort(subject)
    this.#bus.signal({ type: cancelledType, source: '/mcp', subject, tenant: request.caller.tenant, data: null })
  }

  close() {
    this.#unsubscribe()
  }

  #abort(key: string | undefined) {
    this.#waiting.get(key ?? '')?.abort(new Error('cancelled by the client'))
  }
}

interface CancellableRequest {
  readonly caller: McpCaller
  readonly session: string
  readonly id: string | number
}

/** Of one client: nobody else can name it. */
const keyOf = ({ caller: { tenant, user }, session, id }: CancellableRequest) =>
  hash('sha256', JSON.stringify([tenant, user ?? null, session, id]))
