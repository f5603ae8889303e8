import type { UIMessageChunk } from 'ai'
import type { StreamPart } from '../../ask/parts.ts'
import type { ErrorData } from '../../errors.ts'
import type { ApprovalDecision } from '../../tasks/approval.ts'
import { OpenWork } from '../threads/open-work.ts'
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

export class ChatChunks {
  readonly work: OpenWork
  #step: StepChunks | undefined
  #hasText = false
  readonly #fileUrl: (blob: string, mediaType: string) => string

  /** `fileUrl`: where a blob can be read. */
  constructor(task: string, fileUrl: (blob: string, mediaType: string) => string) {
    this.work = new OpenWork(task)
    this.#fileUrl = fileUrl
  }

  add(part: StreamPart): UIMessageChunk[] {
    if (!this.work.shows(part)) return []
    const made = this.#chunksOf(part)
    this.work.add(part)
    return made
  }

  #chunksOf(part: Exclude<StreamPart, { readonly type: 'event' }>): UIMessageChunk[] {
    switch (part.type) {
      case 'text':
      case 'reasoning':
      case 'tool-input': {
        const begun = this.#stepOf(part.call)
        this.#hasText ||= part.type === 'text'
        return [...begun, ...this.#step!.write(part)]
      }
      case 'restart':
        return this.#step?.call === part.call ? this.#step.restart(part.part) : []
      case 'finish': {
        const begun = this.#stepOf(part.call)
        return [...begun, ...this.#step!.finish(part.answer, this.#fileUrl)]
      }
      case 'call':
        return this.#call(part)
      case 'progress':
        return [
          { type: 'data-progress', id: part.call, data: { name: part.name, progress: part.data }, transient: true },
        ]
      case 'approval':
        return this.#ask(part)
      case 'answer':
        return this.work.isApproval(part.call) ? this.#answerApproval(part) : this.#answer(part)
      case 'state':
        return []
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

  #call({ call, name, input, toolCallId, isHandover }: PartOf<'call'>): UIMessageChunk[] {
    if (isHandover) return [{ type: 'tool-output-available', toolCallId: toolCallId ?? call, output: { agent: name } }]
    if (toolCallId !== undefined) return []
    // Of straight-line code, which makes calls without a model.
    const begun = this.#step ? [] : this.#stepOf(call)
    return [
      ...begun,
      { type: 'tool-input-available', toolCallId: call, toolName: name, input: input ?? {}, dynamic: true },
    ]
  }

  #answer({ call, toolCallId = call, output, error }: PartOf<'answer'>): UIMessageChunk[] {
    return [
      error ? refusalOf(toolCallId, error) : { type: 'tool-output-available', toolCallId, output: output ?? null },
    ]
  }

  #ask({ call, name, what, hash, of }: PartOf<'approval'>): UIMessageChunk[] {
    const known = this.work.toolCallIdOf(of)
    const toolCallId = known ?? call
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
    const known = this.work.toolCallIdOf(this.work.callOf(call))
    const { approved = false, comment } = (output ?? {}) as Partial<ApprovalDecision>
    const reason = comment ?? error?.message
    const answered: UIMessageChunk = {
      type: 'tool-approval-response',
      approvalId: call,
      approved,
      ...(reason !== undefined && { reason }),
    }
    if (known !== undefined) return [answered]
    return [
      answered,
      approved
        ? { type: 'tool-output-available', toolCallId: call, output }
        : { type: 'tool-output-denied', toolCallId: call },
    ]
  }
}

const refusalOf = (toolCallId: string, { code, message }: ErrorData): UIMessageChunk =>
  code === 'E_APPROVAL_DENIED'
    ? { type: 'tool-output-denied', toolCallId }
    : { type: 'tool-output-error', toolCallId, errorText: `${code}: ${message}` }
