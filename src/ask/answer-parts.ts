import type { ModelPart, ModelResult, ModelToolCall } from '../tasks/conversation.ts'
import type { TextKind, TextPiece } from '../tasks/text-delta.ts'

/** The text parts of a recorded answer, in their order: texts, reasoning, and the arguments of calls. They are numbered as they were streamed. */
export function answerParts({ text = '', reasoning = '', toolCalls = [], content }: Partial<ModelResult>): TextPiece[] {
  const calls = new Map(toolCalls.map(call => [call.toolCallId, call]))
  const left: Record<TextKind, string> = { text, reasoning, 'tool-input': '' }
  const inOrder: readonly ModelPart[] = content ?? [
    { type: 'reasoning' },
    { type: 'text' },
    ...toolCalls.map(({ toolCallId }) => ({ type: 'tool-call', toolCallId }) as const),
  ]
  const parts = inOrder.flatMap((part): Omit<TextPiece, 'part'>[] => {
    if (part.type === 'tool-call') {
      const call = part.providerExecuted ? undefined : calls.get(part.toolCallId)
      return call
        ? [{ kind: 'tool-input', text: jsonOfInput(call), toolCallId: call.toolCallId, toolName: call.toolName }]
        : []
    }
    if (part.type !== 'text' && part.type !== 'reasoning') return []
    // The only part of its kind, or the first one if a redaction spans them, has the whole text.
    const own = part.text ?? left[part.type]
    left[part.type] = ''
    return own === '' ? [] : [{ kind: part.type, text: own }]
  })
  return parts.map((part, number) => ({ part: number, ...part }))
}

/** What follows a text that was streamed until it is the recorded one; undefined if it is another text. */
export function continues(streamed: string, { kind, text }: TextPiece): string | undefined {
  if (text.startsWith(streamed)) return text.slice(streamed.length)
  return kind === 'tool-input' && normalized(streamed) === normalized(text) ? '' : undefined
}

/** The log has the value of the arguments, and not the text that the model wrote. */
const jsonOfInput = ({ input, malformed }: ModelToolCall) => malformed ?? JSON.stringify(input ?? {})

function normalized(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json))
  } catch {
    return json
  }
}
