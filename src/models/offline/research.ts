import type { LanguageModelV4FunctionTool } from '@ai-sdk/provider'
import type { Exchange } from './conversation.ts'
import { searchTerms } from './plan.ts'
import { conceptsAmong, covers, extract, type Passage, type Quote } from './rank.ts'
import { type Fields, identifierOf, passageOf, recordsIn } from './results.ts'
import { fill, type OfflineSchema, type Values } from './schema.ts'
import { squeeze } from './sentences.ts'
import { type Concept, concepts, occurs, stems } from './words.ts'

export interface ToolCall {
  readonly toolName: string
  readonly input: { [name: string]: unknown }
}

interface Research {
  readonly question: string
  readonly tools: readonly LanguageModelV4FunctionTool[]
  readonly exchanges: readonly Exchange[]
}

const maxSearches = 2
const maxReads = 3

/**
 * The next tool calls, by rules: search; search once more with other words if that found nothing; read the best hits; call a
 * tool of another kind once if it relates to the question. Without calls the model answers.
 */
export function nextCalls({ question, tools, exchanges }: Research, values: Values): ToolCall[] {
  const search = tools.find(isSearch)
  if (!search) return otherCalls({ question, tools, exchanges }, values)
  const searches = exchanges.filter(exchange => exchange.toolName === search.name)
  const hits = searches.flatMap(exchange => recordsIn(exchange.result))
  const paths = hits.map(hit => passageOf(hit, '')?.path ?? '')
  const wanted = conceptsAmong(question, paths)
  const good = hits.filter(hit => isGood(wanted, hit))

  if (searches.length === 0 || (good.length === 0 && searches.length < maxSearches)) {
    const query = searchTerms(question, searches.length)
    const call = { toolName: search.name, input: inputFor(search, values, query) }
    if (!exchanges.some(exchange => sameCall(exchange, call))) return [call]
  }
  const read = tools.find(tool => tool !== search && isRead(tool))
  if (!read || exchanges.some(exchange => exchange.toolName === read.name)) return []
  const calls = [...good, ...hits.filter(hit => !good.includes(hit))]
    .map(hit => ({ toolName: read.name, input: readInput(read, hit) }))
    .filter((call): call is ToolCall => call.input !== undefined)
  return calls.filter((call, i) => calls.findIndex(other => sameCall(other, call)) === i).slice(0, maxReads)
}

/** Quotes from the documents that were read, else from the search results. Results of other tools are quoted unchanged. */
export function findings({ question, tools, exchanges }: Research): Quote[] {
  const named = (kind: typeof isSearch) => new Set(tools.filter(kind).map(tool => tool.name))
  const searching = named(isSearch)
  const reading = named(tool => !isSearch(tool) && isRead(tool))
  const read = exchanges.filter(({ toolName }) => !searching.has(toolName)).flatMap(passagesOf)
  const quotes = extract(question, read.length > 0 ? read : exchanges.flatMap(passagesOf).map(withoutRaggedEnds))
  if (quotes.length > 0) return quotes
  return exchanges
    .filter(({ toolName, result }) => result !== undefined && !searching.has(toolName) && !reading.has(toolName))
    .map(({ toolName, result }) => ({ text: squeeze(textOf(result)), citation: toolName }))
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Calls of tools that neither search nor read: each once, if the question and the tool share a word. */
function otherCalls({ question, tools, exchanges }: Research, values: Values): ToolCall[] {
  const wanted = concepts(question)
  return tools
    .filter(tool => !exchanges.some(exchange => exchange.toolName === tool.name))
    .filter(tool => {
      const about = stems(`${tool.name.replaceAll('_', ' ')} ${tool.description ?? ''}`)
      return wanted.some(concept => occurs(concept, about))
    })
    .map(tool => ({ toolName: tool.name, input: inputFor(tool, values) }))
}

function isSearch({ name, description = '' }: LanguageModelV4FunctionTool): boolean {
  return /search|find|query|lookup|look_up|retrieve/i.test(name) || /^\W*(?:full-text |web )?search/i.test(description)
}

function isRead({ name, description = '' }: LanguageModelV4FunctionTool): boolean {
  return /read|fetch|open|get|load|view|passage|document/i.test(name) || /^\W*(?:read|fetch|open)/i.test(description)
}

/** An input that matches the schema of the tool. A given query fills its query field. */
export function inputFor(tool: LanguageModelV4FunctionTool, values: Values, query?: string): ToolCall['input'] {
  const schema = tool.inputSchema as OfflineSchema
  const filled = fill(schema, values)
  const input = typeof filled === 'object' && filled !== null ? (filled as ToolCall['input']) : {}
  const strings = stringProperties(schema)
  const target = strings.find(name => /^(?:q|query|terms?|keywords?|search|question)$/i.test(name)) ?? strings[0]
  const required = Object.entries(input).filter(([name]) => schema.required?.includes(name))
  return { ...Object.fromEntries(required), ...(query !== undefined && target !== undefined && { [target]: query }) }
}

/** The fields of a hit under the names that the reading tool requires; undefined if one is missing. */
function readInput(tool: LanguageModelV4FunctionTool, hit: Fields): ToolCall['input'] | undefined {
  const schema = tool.inputSchema as OfflineSchema
  const names = schema.required ?? stringProperties(schema).slice(0, 1)
  const identifier = /id$|path|passage|url|uri|file|key|ref|source/i
  const found = names.map(name => [name, hit[name] ?? (identifier.test(name) ? identifierOf(hit) : undefined)] as const)
  return found.length > 0 && found.every(([, value]) => value !== undefined) ? Object.fromEntries(found) : undefined
}

function stringProperties(schema: OfflineSchema): string[] {
  const properties = Object.entries(schema.properties ?? {})
  return properties.flatMap(([name, type]) => (typeof type === 'object' && type.type === 'string' ? [name] : []))
}

/** Whether a hit relates to the question: it contains all names and at least one other concept. */
function isGood(wanted: readonly Concept[], hit: Fields): boolean {
  const texts = Object.values(hit).filter(value => typeof value === 'string')
  const seen = stems(texts.join('\n'))
  const core = wanted.filter(concept => !concept.named)
  const named = wanted.filter(concept => concept.named)
  return covers(named, seen, '') && (core.length === 0 || core.some(concept => occurs(concept, seen)))
}

function passagesOf({ toolName, result }: Exchange): Passage[] {
  if (typeof result === 'string') return [{ id: toolName, path: toolName, heading: '', text: result }]
  return recordsIn(result)
    .map(fields => passageOf(fields, toolName))
    .filter(passage => passage !== undefined)
}

/** A snippet may begin or end inside a sentence; such sentences are not quoted. */
function withoutRaggedEnds(passage: Passage): Passage {
  const text = passage.text.replace(/^\s*(?:…|\.{3})[^.!?]*[.!?]?/, '').replace(/[^.!?]*(?:…|\.{3})\s*$/, '')
  return { ...passage, text }
}

function sameCall(a: { toolName: string; input: unknown }, b: ToolCall): boolean {
  return a.toolName === b.toolName && JSON.stringify(a.input) === JSON.stringify(b.input)
}
