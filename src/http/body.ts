import type { IncomingMessage } from 'node:http'
import { TidingsError } from '../errors.ts'

/**
 * The whole body as it was sent. `reserve` is called with the size of each chunk before it is kept, and may throw.
 * @throws E_REQUEST_TOO_LARGE, E_REQUEST_INVALID where the connection ended early
 */
export async function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
  reserve: (bytes: number) => void = () => {},
): Promise<Buffer> {
  const tooLarge = () => new TidingsError('E_REQUEST_TOO_LARGE', `the body is larger than ${maxBytes} bytes`)
  if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    // The stream must outlive an error, because its socket carries the response.
    for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) throw tooLarge()
      reserve(chunk.length)
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_REQUEST_INVALID', 'the connection ended before the whole body arrived', { cause })
  }
  return Buffer.concat(chunks)
}
