import { isRuntimeType } from '../bus/admit.ts'
import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { approvalType, type ApprovalRequest } from '../tasks/approval.ts'
import { askTarget } from '../tasks/asked.ts'
import type { ModelResult } from '../tasks/conversation.ts'
import { callOutcome } from '../tasks/outcome.ts'
import { stepName, stepType } from '../tasks/steps.ts'

interface OfCall {
  /** The agent or workflow that called, which may be one that the asked agent called. */
  readonly agent: string
  /** Id of the call. */
  readonly call: string
  /** The tool, step, agent, workflow or approval that was called; for a text the model. */
  readonly name: string
}

/** What happens while a task runs, as `TaskHandle.stream` yields it. */
export type StreamPart =
  /** A piece of a model's answer as it arrives. `restart`: an attempt failed, and the text of this call begins again with this piece. */
  | (OfCall & { readonly type: 'text'; readonly text: string; readonly restart?: true })
  | (OfCall & { readonly type: 'call'; readonly input: unknown })
  | (OfCall & { readonly type: 'answer'; readonly output?: unknown; readonly error?: ErrorData })
  /** What a tool reported with `progress`. */
  | (OfCall & { readonly type: 'progress'; readonly data: unknown })
  /** A person is asked. `tidings approve CALL` answers. */
  | (OfCall & { readonly type: 'approval'; readonly what: unknown })
  /** An event of the app, such as one that an agent emitted. */
  | { readonly type: 'event'; readonly event: CloudEvent }

/** Turns the events and signals of a task into parts. Signals may be lost: the text of an answer is complete nevertheless. */
export class StreamParts {
  readonly #open = new Map<string, { readonly of: OfCall; text: string }>()
  /** Ends of calls, whose last signals may arrive after them. */
  readonly #answered = new Set<string>()
  /** Signals that overtook their call, by call. */
  readonly #early = new Map<string, CloudEvent[]>()

  /** `event`: with its data. Empty if it is not a part of what a user sees. */
  ofEvent(event: CloudEvent): readonly StreamPart[] {
    const { type, call, replyto, data } = event
    if (call !== undefined && this.#open.has(call)) return this.#answer(call, event)
    if (type === approvalType)
      return [{ type: 'approval', ...this.#begin(event), what: (data as ApprovalRequest).what }]
    if (!isRuntimeType(type)) return [{ type: 'event', event }]
    if (replyto === undefined || replyto === askTarget || !type.endsWith('.invoke')) return []
    const of = this.#begin(event)
    const early = (this.#early.get(of.call) ?? []).flatMap(signal => this.ofSignal(signal))
    this.#early.delete(of.call)
    if (type === 'model.invoke') return early
    return [{ type: 'call', ...of, input: (data as { input?: unknown } | null)?.input }, ...early]
  }

  ofSignal(signal: CloudEvent): readonly StreamPart[] {
    const { type, subject: call, data } = signal
    if (call === undefined || this.#answered.has(call)) return []
    if (type !== 'tool.progress' && type !== 'model.delta') return []
    const open = this.#open.get(call)
    if (!open) {
      this.#early.set(call, [...(this.#early.get(call) ?? []), signal])
      return []
    }
    if (type === 'tool.progress') return [{ type: 'progress', ...open.of, data }]
    const { text } = data as { text: string }
    open.text += text
    return [{ type: 'text', ...open.of, text }]
  }

  #begin(event: CloudEvent): OfCall {
    const { id: call, type, source, target = '', replyto } = event
    const of = { agent: replyto ?? source, call, name: type === stepType ? stepName(event) : target }
    if (!this.#open.has(call)) this.#open.set(call, { of, text: '' })
    return of
  }

  #answer(call: string, event: CloudEvent): readonly StreamPart[] {
    const { of, text } = this.#open.get(call)!
    this.#open.delete(call)
    this.#early.delete(call)
    this.#answered.add(call)
    if (event.type !== 'model.result') return [{ type: 'answer', ...of, ...callOutcome(event) }]
    const { text: whole } = event.data as ModelResult
    if (!whole.startsWith(text)) return [{ type: 'text', ...of, text: whole, restart: true }]
    return whole.length > text.length ? [{ type: 'text', ...of, text: whole.slice(text.length) }] : []
  }
}
