/** The data of events, as far as the terminal shows it. Anybody may publish, so every field is optional. */
export interface Said {
  readonly question?: string
  readonly subject?: string
  readonly from?: { readonly address?: string } | string
  readonly input?: Asking | string
  readonly output?: Answer | string | null
  readonly error?: { readonly code: string; readonly message: string }
  readonly toolCalls?: readonly { readonly toolName: string }[]
  readonly text?: string
  readonly usage?: { readonly input: number; readonly output: number }
  readonly citations?: readonly unknown[]
  readonly files?: { readonly markdown: string }
  readonly by?: string
  readonly comment?: string
}

interface Asking {
  readonly question?: string
  readonly part?: string
  readonly notes?: readonly unknown[]
  readonly draft?: string
  readonly query?: string
}

interface Answer {
  readonly id?: string
  readonly hits?: readonly unknown[]
  readonly sections?: readonly { readonly statements: readonly unknown[] }[]
  readonly removed?: readonly unknown[]
  readonly question?: string
  readonly found?: readonly unknown[]
  readonly unanswered?: readonly unknown[]
  readonly files?: object
  readonly parts?: readonly string[]
  readonly findings?: string
  readonly approved?: boolean
  readonly remarks?: readonly string[]
}

export function asked({ input = '' }: Said): string {
  if (typeof input === 'string') return input
  const { part, notes, draft, question = '' } = input
  if (part !== undefined) return part
  if (notes) return `a report out of ${notes.length} notes${draft === undefined ? '' : ', again'}`
  return draft === undefined ? question : 'a review of the draft'
}

/** The decision of a model in one step. */
export function decided({ toolCalls = [], text = '', usage }: Said): string {
  const wants = `wants ${toolCalls.map(call => call.toolName).join(', ')}`
  const tokens = usage ? ` (${usage.input} → ${usage.output} tokens)` : ''
  return `${toolCalls.length > 0 ? wants : `says ${text.length} characters`}${tokens}`
}

/** The result of a tool, beside its input. */
export function returned(request: Said, { output }: Said): string {
  if (typeof output !== 'object' || output === null) return String(output)
  const { id = 'done', hits, sections, removed = [], files, question, found, unanswered = [] } = output
  const query = typeof request.input === 'object' ? request.input.query : ''
  if (hits) return `“${query}” → ${count(hits.length, 'hit')}`
  if (files) return 'Markdown and HTML'
  if (question !== undefined) return `“${question}”`
  if (found) return `${found.length} notes found something, ${unanswered.length} parts are left unanswered`
  if (!sections) return id
  const kept = sections.reduce((sum, { statements }) => sum + statements.length, 0)
  return `${kept} statements stand in their passages, ${removed.length} dropped`
}

/** The result of an agent. */
export function concluded({ output }: Said): string {
  const { parts, approved, remarks = [], findings } = typeof output === 'string' ? { findings: output } : (output ?? {})
  if (findings !== undefined) return `${findings.match(/\[[^[\]]+#\d+\]/g)?.length ?? 'no'} quotations`
  if (parts) return `plans: ${parts.join(' · ')}`
  if (approved === undefined) return 'done'
  return approved ? 'approves' : `sends it back: ${remarks.join(' ')}`
}

export function published({ citations = [], files }: Said): string {
  const says =
    citations.length > 0 ? `cites ${count(citations.length, 'passage')}` : 'says that the documents do not answer'
  return `${says}: ${files?.markdown}`
}

/** The answer of a person to a draft. */
export const approved = (said: string, { by, comment }: Said): string =>
  `${by} says ${said}${comment === undefined ? '' : `: ${comment}`}`

export const problem = ({ error }: Said): string => `${error?.code}: ${error?.message}`

export const sender = ({ from }: Said): string => (typeof from === 'string' ? from : from?.address) ?? 'unknown'

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
