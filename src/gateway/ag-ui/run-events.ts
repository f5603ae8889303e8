import {
  EventType,
  type AGUIEvent,
  type Interrupt,
  type JsonPatch,
  type Message,
  type RunFinishedOutcome,
  type TokenUsage,
} from '@ag-ui/core'
import type { StreamPart } from '../../ask/parts.ts'
import { resultId } from '../../bus/ids.ts'
import { OpenWork } from '../threads/open-work.ts'
import { contentOf, ModelMessages, toolCallEvents, toolCallOf } from './model-messages.ts'
import { patchOf } from './state-patch.ts'

/*
 * A task as events of AG-UI: each call of a model is one message of the assistant, with its reasoning before it; inline steps are steps. A run
 * ends with the task, or while the task waits for people (an interrupt), and the next run goes on.
 *
 *     STATE_SNAPSHOT ─▶ STEP_STARTED … ─▶ REASONING_* ─▶ TEXT_MESSAGE_*, TOOL_CALL_* ─▶ TOOL_CALL_RESULT ─▶ … ─▶ STATE_DELTA …
 *
 * AG-UI has no event that takes a part back. If an attempt of a model fails, what it wrote is ended, and a snapshot of the messages lacks it.
 */

type PartOf<Type extends StreamPart['type']> = Extract<StreamPart, { readonly type: Type }>
type ApprovalPart = PartOf<'approval'>

export class RunEvents {
  readonly #task: string
  readonly #fileUrl: (blob: string, mediaType: string) => string
  readonly work: OpenWork
  readonly #models = new Map<string, ModelMessages>()
  /** In the order of the conversation. */
  readonly #messages: (ModelMessages | Message)[] = []
  readonly #approvals = new Map<string, ApprovalPart>()
  /** Names of the steps of this run that are open, by their calls. */
  readonly #steps = new Map<string, string>()
  readonly #usage = new Map<string, { input: number; output: number }>()
  #state: unknown
  #isVoided = false

  /** `fileUrl`: where a blob can be read. */
  constructor(task: string, fileUrl: (blob: string, mediaType: string) => string) {
    this.#task = task
    this.#fileUrl = fileUrl
    this.work = new OpenWork(task)
  }

  /** The messages of the task so far. */
  get messages(): Message[] {
    return this.#messages.flatMap(each => (each instanceof ModelMessages ? each.messages : [each]))
  }

  /** What the task shows in `ctx.state`, or a workflow has captured; undefined for nothing. */
  get state(): unknown {
    return this.#state
  }

  get usage(): TokenUsage[] {
    return [...this.#usage].map(([model, { input, output }]) => ({ model, inputTokens: input, outputTokens: output }))
  }

  /** How a run ends that waits for these approvals and calls of the user interface. */
  outcomeOf(open: readonly string[]): RunFinishedOutcome {
    const approvals = open.filter(call => this.work.isApproval(call))
    if (approvals.length > 0)
      return {
        type: 'interrupt',
        interrupts: approvals.map(call => interruptOf(this.#approvals.get(call)!, this.work)),
      }
    return { type: 'success', pendingToolCallIds: open.map(call => this.work.toolCallIdOf(call)!) }
  }

  /** The messages of a MESSAGES_SNAPSHOT are those of this task. */
  add(part: StreamPart): AGUIEvent[] {
    if (!this.work.shows(part)) return []
    const voided = part.type === 'restart' ? [] : this.#afterVoid()
    const events = this.#eventsOf(part)
    this.work.add(part)
    return [...voided, ...events]
  }

  /** The task has ended with this output, which is shown if its models wrote no text. */
  complete(output: unknown): AGUIEvent[] {
    const hasText = this.messages.some(({ role, content }) => role === 'assistant' && content)
    if (hasText || output === undefined || output === null) return this.end()
    const content = contentOf(output)
    const messageId = this.#task
    this.#messages.push({ id: messageId, role: 'assistant', content })
    return [
      ...this.end(),
      { type: EventType.TEXT_MESSAGE_START, messageId, role: 'assistant' },
      ...(content === '' ? [] : [{ type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta: content } as const]),
      { type: EventType.TEXT_MESSAGE_END, messageId },
    ]
  }

  /** Ends all parts that are open. They may go on in another run. */
  end(): AGUIEvent[] {
    const texts = [...this.#models.values()].flatMap(model => model.end())
    const steps = [...this.#steps.values()].map((stepName): AGUIEvent => ({ type: EventType.STEP_FINISHED, stepName }))
    this.#steps.clear()
    return [...texts, ...this.#afterVoid(), ...steps]
  }

  #eventsOf(part: Exclude<StreamPart, { readonly type: 'event' }>): AGUIEvent[] {
    switch (part.type) {
      case 'text':
      case 'reasoning':
      case 'tool-input':
        return this.#modelOf(part.call).write(part)
      case 'restart':
        this.#isVoided = true
        return this.#modelOf(part.call).restart(part.part)
      case 'finish':
        return this.#finish(part)
      case 'call':
        return this.#call(part)
      case 'answer':
        return this.#answer(part)
      case 'progress':
        return [{ type: EventType.CUSTOM, name: 'progress', value: { tool: part.name, progress: part.data } }]
      case 'state':
        return this.#show(part.state)
      case 'approval':
        this.#approvals.set(part.call, part)
        return []
    }
  }

  #modelOf(call: string): ModelMessages {
    const known = this.#models.get(call)
    if (known) return known
    const begun = new ModelMessages(call)
    this.#models.set(call, begun)
    this.#messages.push(begun)
    return begun
  }

  #finish({ call, answer }: PartOf<'finish'>): AGUIEvent[] {
    const model = this.#modelOf(call)
    const { input, output } = this.#usage.get(answer.model) ?? { input: 0, output: 0 }
    const { usage } = answer
    this.#usage.set(answer.model, { input: input + usage.input, output: output + usage.output })
    const finished = model.finish(answer, this.#fileUrl)
    return model.isInOrder ? finished : [...finished, this.#snapshot()]
  }

  #call({ call, name, kind, input, toolCallId, isHandover }: PartOf<'call'>): AGUIEvent[] {
    if (isHandover) return this.#result(call, toolCallId ?? call, `${name} continues.`)
    if (kind === 'step') {
      const isOpen = [...this.#steps.values()].includes(name)
      const stepName = isOpen ? `${name} (${call})` : name
      this.#steps.set(call, stepName)
      return [{ type: EventType.STEP_STARTED, stepName }]
    }
    if (toolCallId !== undefined) return []
    // Of straight-line code or a workflow, which makes calls without a model.
    const made = toolCallOf(call, name, input)
    this.#messages.push({ id: call, role: 'assistant', toolCalls: [made] })
    return toolCallEvents(made, call)
  }

  #answer({ call, toolCallId = call, output, error }: PartOf<'answer'>): AGUIEvent[] {
    if (this.#approvals.delete(call)) return []
    const stepName = this.#steps.get(call)
    if (stepName !== undefined) {
      this.#steps.delete(call)
      return [{ type: EventType.STEP_FINISHED, stepName }]
    }
    if (this.work.isStep(call)) return []
    return this.#result(call, toolCallId, error ? `${error.code}: ${error.message}` : contentOf(output))
  }

  #result(call: string, toolCallId: string, content: string): AGUIEvent[] {
    const messageId = resultId(call)
    this.#messages.push({ id: messageId, role: 'tool', toolCallId, content })
    return [{ type: EventType.TOOL_CALL_RESULT, messageId, toolCallId, content, role: 'tool' }]
  }

  #show(state: unknown): AGUIEvent[] {
    const before = this.#state
    this.#state = state
    if (before === undefined) return [{ type: EventType.STATE_SNAPSHOT, snapshot: state }]
    const delta: JsonPatch = patchOf(before, state)
    return delta.length > 0 ? [{ type: EventType.STATE_DELTA, delta }] : []
  }

  /** What failed attempts wrote is gone. */
  #afterVoid(): AGUIEvent[] {
    if (!this.#isVoided) return []
    this.#isVoided = false
    return [this.#snapshot()]
  }

  #snapshot(): AGUIEvent {
    return { type: EventType.MESSAGES_SNAPSHOT, messages: this.messages }
  }
}

function interruptOf({ call, name, what, hash, approvers, until }: ApprovalPart, work: OpenWork): Interrupt {
  const toolCallId = work.toolCallIdOf(work.callOf(call))
  return {
    id: call,
    reason: toolCallId === undefined ? 'confirmation' : 'tool_call',
    ...(toolCallId !== undefined && { toolCallId }),
    ...(until !== undefined && { expiresAt: until }),
    responseSchema: {
      type: 'object',
      properties: { approved: { type: 'boolean' }, hash: { const: hash }, comment: { type: 'string' } },
      required: ['approved', 'hash'],
    },
    metadata: { name, what, hash, ...(approvers && { approvers }) },
  }
}
