import type { StreamPart } from '../../ask/parts.ts'
import { correlationOf, parseId, taskId } from '../../bus/ids.ts'

interface OpenApproval {
  /** The tool call that waits for it, if the user sees that. */
  readonly of: string | undefined
}

/**
 * What a task waits for, as its stream shows it. Only what the task does itself is shown, and those that it handed the conversation over to:
 * they are in charge.
 */
export class OpenWork {
  readonly #inCharge: Set<string>
  readonly #handovers = new Set<string>()
  #isWriting = false
  /** Calls of tools and steps. */
  readonly #calls = new Map<string, Extract<StreamPart, { readonly type: 'call' }>>()
  readonly #approvals = new Map<string, OpenApproval>()

  constructor(task: string) {
    this.#inCharge = new Set([task])
  }

  /** The approvals, and the calls of tools of the user interface, that the task waits for; empty while anything else goes on. */
  get waitsFor(): readonly string[] {
    const waiting = new Set([...this.#approvals.values()].map(({ of }) => of))
    const others = [...this.#calls.values()].filter(({ call }) => !waiting.has(call))
    if (this.#isWriting || others.some(({ kind }) => kind !== 'ui')) return []
    return [...this.#approvals.keys(), ...others.map(({ call }) => call)]
  }

  isApproval(call: string): boolean {
    return this.#approvals.has(call)
  }

  /** The id by which the user interface knows an open call. */
  toolCallIdOf(call: string | undefined): string | undefined {
    const known = this.#calls.get(call ?? '')
    return known && (known.toolCallId ?? known.call)
  }

  isStep(call: string): boolean {
    return this.#calls.get(call)?.kind === 'step'
  }

  /** The tool call that waits for an open approval. */
  callOf(approval: string): string | undefined {
    return this.#approvals.get(approval)?.of
  }

  /** Whether the part is of a task in charge, or about an approval. */
  shows(part: StreamPart): part is Exclude<StreamPart, { readonly type: 'event' }> {
    if (part.type === 'event') return false
    if (part.type === 'state') return true
    // Its answer is that of the task.
    if (part.type === 'answer' && this.#handovers.has(part.call)) return false
    return part.type === 'approval' || this.isApproval(part.call) || this.#inCharge.has(parseId(part.call)?.task ?? '')
  }

  /** Takes a part that it shows. */
  add(part: StreamPart): void {
    const { type } = part
    if (type === 'text' || type === 'reasoning' || type === 'tool-input') this.#isWriting = true
    else if (type === 'finish') this.#isWriting = false
    else if (type === 'approval')
      this.#approvals.set(part.call, { of: this.#calls.has(part.of ?? '') ? part.of : undefined })
    else if (type === 'answer') {
      this.#calls.delete(part.call)
      this.#approvals.delete(part.call)
    } else if (type === 'call' && part.isHandover) {
      this.#handovers.add(part.call)
      this.#inCharge.add(taskId(correlationOf(part.call), part.name, part.call))
    } else if (type === 'call' && part.kind !== 'agent') this.#calls.set(part.call, part)
  }
}
