import { parseExactly } from '../../json-text.ts'
import { isObject } from '../json-read.ts'

/* JSON-RPC 2.0 as MCP uses it, as far as a tap reads it: a message that it does not understand is forwarded and not recorded. */

export type JsonRpcId = string | number

/** The fields of a request, a notification or a response. Everything is what somebody else sent, so nothing is checked yet. */
export interface JsonRpcMessage {
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: unknown
}

/** The messages of a text: one, or those of a batch. None if it is not JSON, or no message. */
export function messagesIn(text: string): readonly JsonRpcMessage[] {
  let value: unknown
  try {
    value = parseExactly(text)
  } catch {
    return []
  }
  return (Array.isArray(value) ? value : [value]).filter(isObject)
}

/** A text and a number are different ids, even if they look the same. `null` is the id of an answer to no particular request. */
export const idOf = ({ id }: JsonRpcMessage): JsonRpcId | undefined =>
  typeof id === 'string' || typeof id === 'number' ? id : undefined

/** Whether it answers a request: it has a result or an error, and no method. */
export const isAnswer = (message: JsonRpcMessage): boolean =>
  message.method === undefined && ('result' in message || 'error' in message)
