import type { JSONValue, LanguageModelV4ToolResultOutput } from '@ai-sdk/provider'
import type { Passage } from './rank.ts'

/** One record in the output of a tool: a search hit, or a passage that was read. */
export type Fields = { readonly [name: string]: JSONValue | undefined }

const idNames = ['id', 'passage', 'ref', 'url', 'uri', 'href', 'link', 'path', 'file', 'source', 'key', 'name', 'title']
const textNames = ['text', 'content', 'body', 'passage', 'excerpt', 'snippet', 'summary', 'description']

/** The output of a tool, parsed if it is JSON; undefined if the tool failed or was denied. */
export function outputValue(output: LanguageModelV4ToolResultOutput): JSONValue | undefined {
  if (output.type === 'json') return output.value
  if (output.type === 'text') return parseOrUndefined(output.value) ?? output.value
  if (output.type !== 'content') return undefined
  const text = output.value.map(part => (part.type === 'text' ? part.text : '')).join('\n')
  return parseOrUndefined(text) ?? text
}

export function parseOrUndefined(text: string): JSONValue | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text) as JSONValue
  } catch {
    return undefined
  }
}

/** The records in a value: the elements of its first list of objects, or the value itself. */
export function recordsIn(value: JSONValue | undefined): Fields[] {
  if (Array.isArray(value)) return value.filter(isRecord)
  if (!isRecord(value)) return []
  const list = Object.values(value).find(field => Array.isArray(field))
  return list && Array.isArray(list) && (list.length === 0 || list.some(isRecord)) ? list.filter(isRecord) : [value]
}

export function isRecord(value: JSONValue | undefined): value is { [name: string]: JSONValue | undefined } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function passageOf(fields: Fields, fallbackId: string): Passage | undefined {
  const text = firstString(fields, textNames)
  if (text === undefined) return undefined
  const id = firstString(fields, idNames) ?? fallbackId
  const path = firstString(fields, ['path', 'file', 'url', 'source']) ?? id
  return { id, path, heading: firstString(fields, ['heading', 'title', 'name']) ?? '', text }
}

export function identifierOf(fields: Fields): string | undefined {
  return firstString(fields, idNames)
}

function firstString(fields: Fields, names: readonly string[]): string | undefined {
  const name = names.find(candidate => typeof fields[candidate] === 'string' && fields[candidate] !== '')
  return name === undefined ? undefined : (fields[name] as string)
}
