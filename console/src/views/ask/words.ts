import type { Work } from './story.ts'

/* What happens, in plain English. */

/** Last parts of the names of tools that say what is done with the first part: `library.search`. */
const gerunds: Readonly<Record<string, string>> = {
  ask: 'asking', book: 'booking', cancel: 'cancelling', check: 'checking', compare: 'comparing', create: 'creating', delete: 'deleting',
  fetch: 'fetching', find: 'finding', get: 'getting', list: 'listing', load: 'loading', lookup: 'looking up', notify: 'notifying',
  open: 'opening', order: 'ordering', pay: 'paying', publish: 'publishing', query: 'querying', read: 'reading', refund: 'refunding',
  save: 'saving', search: 'searching', send: 'sending', sort: 'sorting', summarize: 'summarizing', translate: 'translating',
  update: 'updating', validate: 'validating', write: 'writing',
} // biome-ignore format: a table

const maxText = 160

/** `library search` for `library.search` or `librarySearch`. */
export const spaced = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[._-]+/g, ' ')
    .toLowerCase()

export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** `Researcher`, or `Researcher 2` where there are several. */
export const nameOf = ({ name, number }: Pick<Work, 'name' | 'number'>): string =>
  `${capitalized(spaced(name))}${number === undefined ? '' : ` ${number}`}`

/** `searching the library`. */
export function doing({ kind, name, state, text, input }: Work): string {
  if (kind === 'model') return text ? 'writing' : 'thinking'
  if (kind === 'approval') {
    const what = toolIn(input) === undefined ? `approval of the ${spaced(name)}` : `approval of “${spaced(name)}”`
    return state === 'running' ? `waiting for the ${what}` : what
  }
  if (kind !== 'tool') return spaced(name)
  const [object, verb, ...more] = name.split('.')
  const gerund = more.length === 0 && verb !== undefined ? gerunds[verb] : undefined
  return gerund === undefined ? `using ${spaced(name)}` : `${gerund} the ${spaced(object!)}`
}

/** The tool that waits for an approval, if one does. */
export const toolIn = (what: unknown): string | undefined => {
  const { tool } = (what ?? {}) as { tool?: unknown }
  return typeof tool === 'string' ? tool : undefined
}

/** What a call is about: the first line of text in its input that was not mentioned before. */
export function aboutOf(input: unknown, mentioned: readonly string[] = []): string {
  return oneLine(textsIn(input).find(text => !mentioned.includes(text) && !isLong(text)) ?? '')
}

const isLong = (text: string) => text.length > maxText || text.trim().includes('\n')

/** What came of a call: numbers of what was found, decisions, or the beginning of a text. */
export function resultOf({ kind, output, state, error }: Work): string {
  if (error) return oneLine(error.message)
  if (state !== 'completed') return state === 'cancelled' ? 'cancelled' : ''
  if (kind === 'approval') {
    const { approved, by, comment } = (output ?? {}) as { approved?: boolean; by?: string; comment?: string }
    return `${approved ? 'approved' : 'declined'} by ${by}${comment ? `: ${oneLine(comment)}` : ''}`
  }
  if (kind === 'model') return ''
  return amountsOf(output)
}

/** Of these also a "no" is news. */
const decisive: ReadonlySet<string> = new Set(['approved', 'accepted', 'allowed', 'found', 'ok', 'passed', 'valid'])

function amountsOf(output: unknown): string {
  if (typeof output === 'string') return isLong(output) ? amount(output.match(/\S+/g)?.length ?? 0, 'words') : oneLine(output)
  if (Array.isArray(output)) return amount(output.length, 'results')
  if (typeof output !== 'object' || output === null) return output === undefined || output === null ? '' : JSON.stringify(output)
  const entries = Object.entries(output)
  const lists = entries.flatMap(([key, value]) => (Array.isArray(value) ? [[key, value.length] as const] : []))
  const full = lists.filter(([, length]) => length > 0)
  const decisions = entries.flatMap(([key, value]) => (typeof value === 'boolean' && (value || decisive.has(key)) ? [`${value ? '' : 'not '}${spaced(key)}`] : []))
  const amounts = (full.length > 0 || decisions.length > 0 ? full : lists.slice(0, 1)).map(([key, length]) => amount(length, spaced(key)))
  const found = [...decisions, ...amounts]
  return found.length > 0 ? found.slice(0, 3).join(' · ') : oneLine(textsIn(output).find(text => !isLong(text)) ?? '')
} // biome-ignore format: one step a line

const amount = (n: number, plural: string) => `${n === 0 ? 'no' : n} ${n === 1 ? plural.replace(/s$/, '') : plural}`

/** A text, or the texts among the fields of an object. */
export function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  return Object.values(value).filter(each => typeof each === 'string' && each.trim() !== '')
}

export const oneLine = (text: string, max = maxText): string => {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > max ? `${line.slice(0, max - 1)}…` : line
}

/** The question as its person wrote it; of a form, its fields. */
export function textOfQuestion({ data, type }: { readonly data?: unknown; readonly type: string }): string {
  const input = type === 'agent.invoke' ? (data as { input?: unknown } | null)?.input : data
  if (typeof input === 'string') return input
  const fields = Object.entries(input ?? {}).filter(([, value]) => typeof value !== 'object')
  if (fields.length === 1 && typeof fields[0]![1] === 'string') return fields[0]![1]
  return fields.length === 0
    ? capitalized(spaced(type))
    : capitalized(fields.map(([name, value]) => `${spaced(name)} ${String(value)}`).join(', '))
}

/** A text without a title that repeats the question, which stands above it. */
export const withoutTitle = (markdown: string, question: string): string =>
  markdown.replace(/^\s*#{1,3} +(.+)\n/, (heading, title: string) => (title.trim() === question.trim() ? '' : heading))
