import type { UIMessageChunk } from 'ai'
import type { StreamPart } from '../../ask/parts.ts'
import { correlationOf, parseId, taskId } from '../../bus/ids.ts'
import type { ErrorData } from '../../errors.ts'
import type { ApprovalDecision } from '../../tasks/approval.ts'
import { StepChunks } from './step-chunks.ts'

/*
 * A task as one message of the AI SDK (its UI message stream, version 1): one task is one assistant message, each model call one step.
 * Only what the agent in charge does is shown: that is the one that was asked, or that it handed the conversation over to.
 *
 *     start ─▶ start-step ─▶ text, reasoning, tool input ─▶ tool output ─▶ finish-step ─▶ start-step … ─▶ finish
 *
 * A message ends early while it only waits for people: the client answers, and continues the same message.
 */

type PartOf<Type extends StreamPart['type']> = Extract<StreamPart, { readonly type: Type }>

interface OpenApproval {
  /** The tool call that waits for it, or the approval itself. */
  readonly toolCallId: string
  /** The call of the tool that asked for it. */
  readonly of?: string
}

export class ChatChunks {
  /** The task that was asked for, and those that it handed the conversation over to. */
  readonly #inCharge: Set<string>
  #step: StepChunks | undefined
  #isWriting = false
  #hasText = false
  readonly #fileUrl: (blob: string, mediaType: string) => string
  /** Calls of tools and steps that are open, with the id that the client knows. */
  readonly #open = new Map<string, string>()
  readonly #approvals = new Map<string, OpenApproval>()

  /** `fileUrl`: where a blob can be read. */
  constructor(task: string, fileUrl: (blob: string, mediaType: string) => string) {
    this.#inCharge = new Set([task])
    this.#fileUrl = fileUrl
  }

  /** The approvals that the task waits for; empty while anything else goes on. */
  get waitsFor(): readonly string[] {
    const waiting = new Set([...this.#approvals.values()].map(({ of }) => of))
    const isBusy = this.#isWriting || [...this.#open.keys()].some(call => !waiting.has(call))
    return isBusy ? [] : [...this.#approvals.keys()]
  }

  add(part: StreamPart): UIMessageChunk[] {
    if (part.type === 'event') return []
    if (part.type === 'approval') return this.#ask(part)
    if (part.type === 'answer' && this.#approvals.has(part.call)) return this.#answerApproval(part)
    if (!this.#inCharge.has(parseId(part.call)?.task ?? '')) return []
    switch (part.type) {
      case 'text':
      case 'reasoning':
      case 'tool-input': {
        const begun = this.#stepOf(part.call)
        this.#isWriting = true
        this.#hasText ||= part.type === 'text'
        return [...begun, ...this.#step!.write(part)]
      }
      case 'restart':
        return this.#step?.call === part.call ? this.#step.restart(part.part) : []
      case 'finish': {
        const begun = this.#stepOf(part.call)
        this.#isWriting = false
        return [...begun, ...this.#step!.finish(part.answer, this.#fileUrl)]
      }
      case 'call':
        return this.#call(part)
      case 'progress':
        return [
          { type: 'data-progress', id: part.call, data: { name: part.name, progress: part.data }, transient: true },
        ]
      case 'answer':
        return this.#answer(part)
    }
  }

  /** The task has ended with this output. */
  complete(output: unknown): UIMessageChunk[] {
    if (this.#hasText || output === undefined || output === null) return this.end()
    const text = typeof output === 'string' ? output : JSON.stringify(output)
    const id = 'output'
    const begun = this.#step ? [] : [{ type: 'start-step' } as const]
    this.#step ??= new StepChunks(id)
    return [
      ...begun,
      { type: 'text-start', id },
      { type: 'text-delta', id, delta: text },
      { type: 'text-end', id },
      ...this.end(),
    ]
  }

  /** The message ends here, for now if the task waits for people. */
  end(): UIMessageChunk[] {
    const step: UIMessageChunk[] = this.#step ? [...this.#step.end(), { type: 'finish-step' }] : []
    return [...step, { type: 'finish' }]
  }

  /** Begins a step for the call of a model. */
  #stepOf(call: string): UIMessageChunk[] {
    if (this.#step?.call === call) return []
    const ended: UIMessageChunk[] = this.#step ? [...this.#step.end(), { type: 'finish-step' }] : []
    this.#step = new StepChunks(call)
    return [...ended, { type: 'start-step' }]
  }

  #call({ call, name, kind, input, toolCallId, isHandover }: PartOf<'call'>): UIMessageChunk[] {
    if (isHandover) {
      this.#inCharge.add(taskId(correlationOf(call), name, call))
      return [{ type: 'tool-output-available', toolCallId: toolCallId ?? call, output: { agent: name } }]
    }
    if (kind !== 'agent') this.#open.set(call, toolCallId ?? call)
    if (toolCallId !== undefined) return []
    // Of straight-line code, which makes calls without a model.
    const begun = this.#step ? [] : this.#stepOf(call)
    return [
      ...begun,
      { type: 'tool-input-available', toolCallId: call, toolName: name, input: input ?? {}, dynamic: true },
    ]
  }

  #answer({ call, toolCallId = call, output, error }: PartOf<'answer'>): UIMessageChunk[] {
    this.#open.delete(call)
    return [
      error ? refusalOf(toolCallId, error) : { type: 'tool-output-available', toolCallId, output: output ?? null },
    ]
  }

  #ask({ call, name, what, hash, of }: PartOf<'approval'>): UIMessageChunk[] {
    const known = of === undefined ? undefined : this.#open.get(of)
    const toolCallId = known ?? call
    this.#approvals.set(call, { toolCallId, ...(known !== undefined && { of: of! }) })
    const asked = {
      type: 'tool-approval-request',
      approvalId: call,
      toolCallId,
      approvalDescriptor: what,
      signature: hash,
    } as const
    if (known !== undefined) return [asked]
    const begun = this.#step ? [] : this.#stepOf(call)
    return [
      ...begun,
      { type: 'tool-input-available', toolCallId, toolName: name, input: what ?? {}, dynamic: true },
      asked,
    ]
  }

  #answerApproval({ call, output, error }: PartOf<'answer'>): UIMessageChunk[] {
    const { toolCallId, of } = this.#approvals.get(call)!
    this.#approvals.delete(call)
    const { approved = false, comment } = (output ?? {}) as Partial<ApprovalDecision>
    const reason = comment ?? error?.message
    const answered: UIMessageChunk = {
      type: 'tool-approval-response',
      approvalId: call,
      approved,
      ...(reason !== undefined && { reason }),
    }
    if (of !== undefined) return [answered]
    return [
      answered,
      approved ? { type: 'tool-output-available', toolCallId, output } : { type: 'tool-output-denied', toolCallId },
    ]
  }
}

const refusalOf = (toolCallId: string, { code, message }: ErrorData): UIMessageChunk =>
  code === 'E_APPROVAL_DENIED'
    ? { type: 'tool-output-denied', toolCallId }
    : { type: 'tool-output-error', toolCallId, errorText: `${code}: ${message}` }
