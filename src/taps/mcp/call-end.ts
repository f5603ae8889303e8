import { failure, type ErrorData } from '../../errors.ts'
import { maxCodeText, truncateText } from '../../thrown.ts'
import { type JsonRpcMessage } from './json-rpc.ts'
import { isObject, objectIn } from '../json-read.ts'

export type JsonFields = Readonly<Record<string, unknown>>

/** How a call ended: with a result, which may say that the tool failed, or without one. */
export type CallEnd = { readonly output: unknown; readonly error?: ErrorData } | { readonly error: ErrorData }

/** The end of a call from its answer. What the tool returned is kept as it is, also if it reports an error. */
export function callEndOf({ result, error }: JsonRpcMessage): CallEnd {
  if (error !== undefined) return { error: protocolError(objectIn(error)) }
  if (objectIn(result).isError !== true) return { output: result }
  return { output: result, error: failure('E_TOOL_THREW', textIn(result)) }
}

export const cancelledBy = (reason: unknown): ErrorData =>
  failure(
    'E_TAP_CANCELLED',
    typeof reason === 'string' && reason !== '' ? truncateText(reason) : 'the client cancelled the call',
  )

const protocolError = ({ code, message }: JsonFields): ErrorData => ({
  ...failure(
    'E_TAP_UPSTREAM',
    typeof message === 'string' ? truncateText(message) : 'the server answered with an error',
  ),
  ...((typeof code === 'string' || typeof code === 'number') && { originalCode: String(code).slice(0, maxCodeText) }),
})

/** The texts of a result. */
function textIn(result: unknown): string {
  const { content } = objectIn(result)
  const texts = Array.isArray(content) ? content.filter(isObject).map(({ text }) => text) : []
  const text = texts.filter(each => typeof each === 'string').join('\n')
  return truncateText(text || 'the tool reported an error')
}
