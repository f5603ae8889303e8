import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { approvalType, isApprovalRequest, type ApprovalRequest } from './approval.ts'
import { isOpen } from './approval-find.ts'
import { replayTarget } from './effects.ts'

/** A request for approval that waits for a person. */
export interface OpenApproval extends Omit<ApprovalRequest, 'who'> {
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly approvers?: readonly string[]
  /** RFC 3339, in UTC: when it was requested, and its deadline if it has one. */
  readonly since: string
  readonly until?: string
  readonly correlation: string
  /** The program or tool that requests it. */
  readonly from: string
  /** The redrive or fork that it belongs to. */
  readonly replay?: string
}

// Of requests and of answers; older ones are dropped.
const maxKept = 10_000
const maxConcurrentReads = 16

/**
 * Tracks open requests for approval. Add the events of the log in order.
 * @example
 * const pending = new PendingApprovals()
 * for await (const { event } of running.bus.read({ after: '0' })) pending.add(event)
 * for (const { id, name, what } of await pending.open(running.bus)) show({ id, name, what })
 */
export class PendingApprovals {
  readonly #asked = new Map<string, CloudEvent>()
  readonly #answered = new Set<string>()

  add(event: CloudEvent): void {
    const { type, id, call, target } = event
    if (type !== approvalType) {
      if (call === undefined) return
      this.#asked.delete(call)
      bound(this.#answered.add(call))
    } else if (target !== replayTarget && !this.#answered.has(id) && !this.#asked.has(id))
      bound(this.#asked.set(id, event))
  }

  clear(): void {
    this.#asked.clear()
    this.#answered.clear()
  }

  /** The requests that a task waits for now, oldest first. The others are removed. */
  async open(bus: Bus): Promise<OpenApproval[]> {
    const found: OpenApproval[] = []
    const asked = [...this.#asked.values()]
    for (let i = 0; i < asked.length; i += maxConcurrentReads) {
      const part = asked.slice(i, i + maxConcurrentReads)
      found.push(...(await Promise.all(part.map(event => this.#look(bus, event)))).flat())
    }
    return found
  }

  async #look(bus: Bus, event: CloudEvent): Promise<OpenApproval[]> {
    if (await isOpen(bus, event)) return described(await bus.resolve(event).catch(() => event))
    this.#asked.delete(event.id)
    return []
  }
}

/** Empty if the data cannot be shown: such a request cannot be approved. */
function described(request: CloudEvent): OpenApproval[] {
  const { id, tenant, target, time, deadline, correlationid, replyto, source, replay, data } = request
  if (!isApprovalRequest(data)) return []
  const { who: approvers, what, hash, form } = data
  return [
    {
      id,
      tenant,
      name: target ?? '',
      ...(approvers && { approvers }),
      what,
      hash,
      ...(form && { form }),
      since: time,
      ...(deadline !== undefined && { until: deadline }),
      correlation: correlationid,
      from: replyto ?? source,
      ...(replay !== undefined && { replay }),
    },
  ]
}

function bound(known: Map<string, unknown> | Set<string>): void {
  if (known.size > maxKept) known.delete(known.keys().next().value!)
}
