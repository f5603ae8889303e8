import { serve, type Provider } from './serve.ts'

/** One answer of a scripted Gemini 3. */
export interface GoogleReply {
  thought?: string
  text?: string
  calls?: readonly { readonly name: string; readonly args: object; readonly id?: string }[]
  /** Bytes of an image, in Base64, and of one that was drawn while it thought. */
  image?: string
  draft?: string
  /** A search result that the answer rests on. */
  grounding?: { readonly uri: string; readonly title: string }
  /** Default `STOP`. */
  finish?: string
  usage?: { prompt: number; output: number; thoughts?: number; cached?: number }
}

interface Part {
  text?: string
  thought?: boolean
  thoughtSignature?: string
  functionCall?: { id?: string; name: string; args: object }
  functionResponse?: { id?: string; name: string }
  inlineData?: { mimeType: string; data: string }
}

export interface GoogleRequest {
  contents: { role: string; parts: Part[] }[]
}

/**
 * `streamGenerateContent`, with what Gemini 3 refuses: a function call of the current turn without the signature that it
 * had, responses that do not match the calls or their order, empty contents. It signs the first call of each answer, and
 * the text of one without calls. The way out that Google documents for calls of other models counts as a refusal here.
 */
export function googleServer(...replies: GoogleReply[]): Promise<Provider<GoogleRequest>> {
  const queue = [...replies]
  const signatures = new Set<string>()
  const sign = () => {
    const signature = Buffer.from(`signature ${signatures.size} >>> npm_${'k'.repeat(40)}`).toString('base64')
    signatures.add(signature)
    return signature
  }
  return serve<GoogleRequest>(
    body => problemOf(body, signatures) ?? (queue.length > 0 ? eventsOf(queue.shift()!, sign) : 'No reply is scripted'),
    message => ({ error: { code: 400, message, status: 'INVALID_ARGUMENT' } }),
  )
}

function problemOf({ contents }: GoogleRequest, signatures: ReadonlySet<string>): string | undefined {
  const turn = contents.findLastIndex(
    ({ role, parts }) => role === 'user' && parts.some(({ text }) => text !== undefined),
  )
  for (const [i, { role, parts }] of contents.entries()) {
    if (parts.length === 0) return `contents[${i}].parts must not be empty.`
    if (role !== 'model') continue
    const calls = parts.filter(({ functionCall }) => functionCall)
    const responses = contents[i + 1]?.parts.filter(({ functionResponse }) => functionResponse) ?? []
    if (calls.length !== responses.length)
      return 'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.'
    const misplaced = calls.find(({ functionCall }, n) => {
      const response = responses[n]!.functionResponse!
      return functionCall!.name !== response.name || functionCall!.id !== response.id
    })
    if (misplaced) return `The response to ${misplaced.functionCall!.name} is not at the place of its call.`
    const unknown = parts.find(({ thoughtSignature }) => thoughtSignature && !signatures.has(thoughtSignature))
    if (unknown) return 'Thought signature is not valid.'
    if (i > turn && calls.length > 0 && !calls[0]!.thoughtSignature)
      return `Function call is missing a thought_signature in functionCall parts. Additional data, function call \`${calls[0]!.functionCall!.name}\``
  }
  return undefined
}

function eventsOf(reply: GoogleReply, sign: () => string): object[] {
  const {
    thought,
    text,
    calls = [],
    image,
    draft,
    grounding,
    finish = 'STOP',
    usage = { prompt: 1, output: 1 },
  } = reply
  const parts: Part[] = [
    ...(thought === undefined ? [] : [{ text: thought, thought: true }]),
    ...(draft === undefined ? [] : [{ inlineData: { mimeType: 'image/png', data: draft }, thought: true }]),
    ...(text === undefined ? [] : [{ text }]),
    ...calls.map(({ id, name, args }, n) => ({
      functionCall: { ...(id && { id }), name, args },
      ...(n === 0 && { thoughtSignature: sign() }),
    })),
    ...(image === undefined ? [] : [{ inlineData: { mimeType: 'image/png', data: image }, thoughtSignature: sign() }]),
    // After the text, as Gemini sends it.
    ...(text !== undefined && calls.length === 0 ? [{ text: '', thoughtSignature: sign() }] : []),
  ]
  const groundingMetadata = grounding && { groundingChunks: [{ web: grounding }] }
  const candidate = (part: Part) => ({
    candidates: [{ index: 0, content: { role: 'model', parts: [part] } }],
    responseId: 'r1',
  })
  return [
    ...parts.map(candidate),
    {
      candidates: [{ index: 0, finishReason: finish, ...(groundingMetadata && { groundingMetadata }) }],
      responseId: 'r1',
      usageMetadata: {
        promptTokenCount: usage.prompt,
        candidatesTokenCount: usage.output,
        thoughtsTokenCount: usage.thoughts ?? 0,
        cachedContentTokenCount: usage.cached ?? 0,
        totalTokenCount: usage.prompt + usage.output + (usage.thoughts ?? 0),
      },
    },
  ]
}
