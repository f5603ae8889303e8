import { isRuntimeType } from '../bus/admit.ts'
import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { JsonSchema } from '../schema.ts'
import { approvalType, type ApprovalRequest } from '../tasks/approval.ts'
import { askTarget } from '../tasks/asked.ts'
import { CallText, noText } from '../tasks/call-text.ts'
import type { ModelResult } from '../tasks/conversation.ts'
import { callOutcome } from '../tasks/outcome.ts'
import { stepName, stepType } from '../tasks/step-request.ts'
import { uiTarget, uiToolName } from '../tasks/ui-tools.ts'
import { isTextDelta, textDeltaType, type TextDelta, type TextKind, type TextPiece } from '../tasks/text-delta.ts'
import { answerParts, continues } from './answer-parts.ts'

interface OfCall {
  /** The agent or workflow that called, which may be one that the asked agent called. */
  readonly agent: string
  /** Id of the call. */
  readonly call: string
  /** The tool, step, agent, workflow or approval that was called; for a text the model. */
  readonly name: string
}

/** A piece of one part of a model's answer. The pieces of a part, joined, are its text. */
interface OfText extends OfCall {
  /** Number of the part, in the order of the answer. */
  readonly part: number
  /** The attempt of the model, as a UUID v7. Absent if the piece comes from the answer on the log. */
  readonly attempt?: string
  readonly text: string
}

interface OfTool extends OfCall {
  /** Of a call that a model made: the id that the model gave it. */
  readonly toolCallId?: string
}

/** What happens while a task runs, as `TaskHandle.stream` yields it. */
export type StreamPart =
  /** A model answers. */
  | (OfText & { readonly type: 'text' })
  /** A model thinks. */
  | (OfText & { readonly type: 'reasoning' })
  /** A model writes the arguments of a call, as JSON. `toolName`: the tool, by the name that the model knows. */
  | (OfText & { readonly type: 'tool-input'; readonly toolCallId: string; readonly toolName: string })
  /** What came of this part of an answer is void: the attempt failed, or the answer on the log has another text. It may begin again. */
  | (OfCall & { readonly type: 'restart'; readonly part: number; readonly kind: TextKind })
  /** A model has answered, and all of the text has come. `answer`: what is on the log, with sources, files, usage. */
  | (OfCall & { readonly type: 'finish'; readonly answer: ModelResult })
  /** `kind`: `ui` is a tool of the user interface, which must answer. `isHandover`: the called agent continues the conversation, and answers in place of the caller. */
  | (OfTool & {
      readonly type: 'call'
      readonly kind: 'tool' | 'agent' | 'step' | 'ui'
      readonly input: unknown
      readonly isHandover?: true
    })
  /** `isApproval`: of a person to a request for approval, before the answer of the tool that waits for it; `output` is the decision. */
  | (OfTool & {
      readonly type: 'answer'
      readonly isApproval?: true
      readonly output?: unknown
      readonly error?: ErrorData
    })
  /** What a tool reported with `progress`. */
  | (OfCall & { readonly type: 'progress'; readonly data: unknown })
  /**
   * A person is asked: `running.approve(call, { by, hash })` or `tidings approve CALL` answers. `hash`: of what the person must be shown. `until`: RFC 3339,
   * after which nobody waits for the answer. `of`: the call of the tool that waits for it, if a tool does.
   */
  | (OfCall & {
      readonly type: 'approval'
      readonly what: unknown
      readonly hash: string
      readonly approvers?: readonly string[]
      /** JSON Schema of what the person fills in to grant it. */
      readonly form?: JsonSchema
      readonly until?: string
      readonly of?: string
    })
  /** What the task shows has changed: `ctx.state` of straight-line code, or what a workflow has captured. `call`: the id of the task. */
  | (OfCall & { readonly type: 'state'; readonly state: unknown })
  /** An event of the app, such as one that an agent emitted. */
  | { readonly type: 'event'; readonly event: CloudEvent }

interface OpenCall {
  /** Undefined until the request is seen, which its signals may overtake. */
  of: OfTool | undefined
  isApproval?: true
  readonly text: CallText
  readonly early: CloudEvent[]
}

/**
 * Turns the events and signals of a task into parts. Signals may be lost, repeated and reordered. The pieces of each part, joined from its last
 * `restart` on, are the text on the log when the call has been answered.
 */
export class StreamParts {
  readonly #open = new Map<string, OpenCall>()
  /** Ends of calls, whose last signals may arrive after them. */
  readonly #answered = new Set<string>()

  /** `event`: with its data. Empty if it is not a part of what a user sees. */
  ofEvent(event: CloudEvent): readonly StreamPart[] {
    const { type, call, replyto } = event
    const open = call === undefined ? undefined : this.#open.get(call)
    if (open?.of) return this.#answer(open, open.of, event)
    if (type === approvalType) {
      const asked = this.#begin(event)
      asked.isApproval = true
      return [{ type: 'approval', ...asked.of!, ...requestedIn(event) }]
    }
    if (type === 'tool.failed' && call === undefined) return unmade(event)
    if (!isRuntimeType(type)) return [{ type: 'event', event }]
    if (replyto === undefined || replyto === askTarget || !type.endsWith('.invoke')) return []
    const begun = this.#begin(event)
    const of = begun.of!
    const early = begun.early.splice(0).flatMap(signal => this.ofSignal(signal))
    if (type === 'model.invoke') return [...pieces(of, begun.text.after(noText)), ...early]
    return [{ type: 'call', ...of, ...calledBy(event) }, ...early]
  }

  ofSignal(signal: CloudEvent): readonly StreamPart[] {
    const { type, subject: call, data } = signal
    if (call === undefined || this.#answered.has(call)) return []
    if (type === textDeltaType && isTextDelta(data)) return this.#grow(this.#openCall(call), data)
    if (type !== 'tool.progress') return []
    const { of, early } = this.#openCall(call)
    if (of) return [{ type: 'progress', ...of, data }]
    early.push(signal)
    return []
  }

  #grow({ of, text }: OpenCall, delta: TextDelta): readonly StreamPart[] {
    const { position } = text
    const isOther = delta.attempt > position.attempt
    const before = isOther ? text.parts : []
    text.add(delta)
    return of ? [...restarts(of, before), ...pieces(of, text.after(position))] : []
  }

  #openCall(call: string): OpenCall {
    const open = this.#open.get(call) ?? { of: undefined, text: new CallText(), early: [] }
    this.#open.set(call, open)
    return open
  }

  #begin(event: CloudEvent): OpenCall {
    const { id: call, type, source, target = '', replyto, data } = event
    const { conversation, toolCallId = conversation?.handover?.toolCallId } = (data ?? {}) as CalledData
    const open = this.#openCall(call)
    open.of ??= {
      agent: replyto ?? source,
      call,
      name: type === stepType ? stepName(event) : target === uiTarget ? uiToolName(event) : target,
      ...(typeof toolCallId === 'string' && { toolCallId }),
    }
    return open
  }

  #answer({ text, isApproval }: OpenCall, of: OfTool, event: CloudEvent): readonly StreamPart[] {
    this.#open.delete(of.call)
    this.#answered.add(of.call)
    const streamed = text.parts
    if (event.type !== 'model.result')
      return [
        ...restarts(of, streamed),
        { type: 'answer', ...of, ...(isApproval && { isApproval }), ...callOutcome(event) },
      ]
    const answer = (event.data ?? {}) as ModelResult
    const whole = answerParts(answer)
    // Another order of the parts is another answer.
    const isSame = streamed.every(each => whole.some(other => isSamePart(each, other)))
    const rest = whole.flatMap((part): StreamPart[] => {
      const begun = isSame ? streamed.find(({ part: number }) => number === part.part) : undefined
      if (!begun) return pieces(of, [part])
      const missing = continues(begun.text, part)
      return missing === undefined
        ? [...restarts(of, [begun]), ...pieces(of, [part])]
        : pieces(of, [{ ...part, text: missing }])
    })
    return [...(isSame ? [] : restarts(of, streamed)), ...rest, { type: 'finish', ...of, answer }]
  }
}

const isSamePart = (one: TextPiece, other: TextPiece) =>
  one.part === other.part && one.kind === other.kind && one.toolCallId === other.toolCallId

const pieces = (of: OfCall, deltas: readonly (TextPiece & { attempt?: string })[]): StreamPart[] =>
  deltas.flatMap(({ kind, part, attempt, text, toolCallId, toolName }): StreamPart[] => {
    const piece = { ...of, part, ...(attempt !== undefined && { attempt }), text }
    if (text === '') return []
    if (kind !== 'tool-input') return [{ type: kind, ...piece }]
    return [{ type: kind, ...piece, toolCallId: toolCallId ?? '', toolName: toolName ?? '' }]
  })

const restarts = (of: OfCall, parts: readonly TextPiece[]): StreamPart[] =>
  parts.map(({ part, kind }) => ({ type: 'restart', ...of, part, kind }))

/** A call that a model tried to make, and that its agent answered itself. */
function unmade({ id, source, data }: CloudEvent): StreamPart[] {
  const { toolCallId, toolName, error } = (data ?? {}) as Record<'toolCallId' | 'toolName' | 'error', unknown>
  if (typeof toolCallId !== 'string' || typeof toolName !== 'string') return []
  return [
    {
      type: 'answer',
      agent: source.slice('/agents/'.length),
      call: id,
      name: toolName,
      toolCallId,
      error: error as ErrorData,
    },
  ]
}

interface CalledData {
  readonly input?: unknown
  readonly toolCallId?: unknown
  readonly conversation?: { readonly handover?: { readonly toolCallId?: unknown } }
}

function calledBy({ type, target, data }: CloudEvent) {
  const { input, conversation } = (data ?? {}) as CalledData
  const kind = target === uiTarget ? ('ui' as const) : (type.slice(0, -'.invoke'.length) as 'tool' | 'agent' | 'step')
  return { kind, input, ...(conversation?.handover !== undefined && { isHandover: true as const }) }
}

function requestedIn({ source, causationid, data, deadline }: CloudEvent) {
  const isOfTool = source.startsWith('/tools/') && causationid !== undefined
  const { what, hash, who: approvers, form } = data as ApprovalRequest
  return {
    what,
    hash,
    ...(approvers && { approvers }),
    ...(form && { form }),
    ...(deadline !== undefined && { until: deadline }),
    ...(isOfTool && { of: causationid }),
  }
}
