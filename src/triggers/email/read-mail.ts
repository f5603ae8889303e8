import type { SMTPServerDataStream } from 'smtp-server'
import { TidingsError } from '../../errors.ts'
import { mailRefused } from './replies.ts'
import type { Reserve } from '../memory-limiter.ts'

const initialBytes = 64 * 1024
/** Bytes beyond the limit are discarded, up to this many times the limit; then the connection ends. */
const maxOverrun = 2

/**
 * Reads a mail to its end even if it is rejected, because SMTP replies after the mail. `abort` ends the connection of a
 * client that sends without end. @throws E_BUSY, E_MAIL_REFUSED, an SmtpError
 */
export async function readMail(
  stream: SMTPServerDataStream,
  maxBytes: number,
  reserve: Reserve,
  abort: () => void,
): Promise<Buffer> {
  // One growing buffer: a mail may arrive as millions of chunks, and a chunk costs more than its bytes.
  let buffer = Buffer.alloc(0)
  let length = 0
  let problem: unknown
  const append = (chunk: Buffer) => {
    const end = length + chunk.length
    if (end > maxBytes) return
    if (end > buffer.length) {
      const size = Math.min(maxBytes, Math.max(2 * buffer.length, end, initialBytes))
      reserve(size - buffer.length)
      const larger = Buffer.allocUnsafe(size)
      buffer.copy(larger, 0, 0, length)
      buffer = larger
    }
    chunk.copy(buffer, length)
    length = end
  }
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      try {
        if (problem === undefined) append(chunk)
      } catch (error) {
        problem = error
        buffer = Buffer.alloc(0)
      }
      if (stream.byteLength > maxOverrun * maxBytes + initialBytes) abort()
    }
  } catch (cause) {
    throw new TidingsError('E_MAIL_REFUSED', 'the connection ended before the whole mail arrived', { cause })
  }
  if (stream.sizeExceeded) throw mailRefused(552, `the mail is larger than ${maxBytes} bytes`)
  if (problem !== undefined) throw problem
  return buffer.subarray(0, length)
}
