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
  const buffer = new BoundedBuffer(maxBytes, reserve)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      buffer.append(chunk)
      if (stream.byteLength > maxOverrun * maxBytes + initialBytes) abort()
    }
  } catch (cause) {
    throw new TidingsError('E_MAIL_REFUSED', 'the connection ended before the whole mail arrived', { cause })
  }
  if (stream.sizeExceeded) throw mailRefused(552, `the mail is larger than ${maxBytes} bytes`)
  return buffer.contents()
}

/** One growing buffer: a mail may arrive as millions of chunks, and a chunk costs more than its bytes. */
class BoundedBuffer {
  readonly #maxBytes: number
  readonly #reserve: Reserve
  #bytes = Buffer.alloc(0)
  #length = 0
  #problem: unknown

  constructor(maxBytes: number, reserve: Reserve) {
    this.#maxBytes = maxBytes
    this.#reserve = reserve
  }

  append(chunk: Buffer): void {
    const length = this.#length + chunk.length
    if (this.#problem !== undefined || length > this.#maxBytes) return
    if (length > this.#bytes.length && !this.#grow(length)) return
    chunk.copy(this.#bytes, this.#length)
    this.#length = length
  }

  /** False if there is no room. */
  #grow(length: number): boolean {
    const size = Math.min(this.#maxBytes, Math.max(2 * this.#bytes.length, length, initialBytes))
    try {
      this.#reserve(size - this.#bytes.length)
    } catch (problem) {
      this.#problem = problem
      this.#bytes = Buffer.alloc(0)
      return false
    }
    const larger = Buffer.allocUnsafe(size)
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
    return true
  }

  contents(): Buffer {
    if (this.#problem !== undefined) throw this.#problem
    return this.#bytes.subarray(0, this.#length)
  }
}
