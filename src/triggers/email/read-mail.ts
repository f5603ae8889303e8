import type { SMTPServerDataStream } from 'smtp-server'
import { TidingsError } from '../../errors.ts'
import { mailRefused } from './replies.ts'
import type { Reserve } from '../memory-limiter.ts'

const firstBytes = 64 * 1024
/** What is sent beyond the limit is thrown away, up to this many times the limit. */
const patience = 2

/**
 * Reads a mail to its end in any case, since the answer comes after the mail; what cannot be kept is not. `giveUp` ends
 * the connection of a client that goes on without end. @throws E_BUSY, E_MAIL_REFUSED, a refusal
 */
export async function readMail(
  stream: SMTPServerDataStream,
  maxBytes: number,
  hold: Reserve,
  giveUp: () => void,
): Promise<Buffer> {
  const kept = new Kept(maxBytes, hold)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      kept.take(chunk)
      if (stream.byteLength > patience * maxBytes + firstBytes) giveUp()
    }
  } catch (cause) {
    throw new TidingsError('E_MAIL_REFUSED', 'the connection broke off in the middle of the mail', { cause })
  }
  if (stream.sizeExceeded) throw mailRefused(552, `the mail is larger than ${maxBytes} bytes`)
  return kept.all()
}

/** Bytes in one piece: a mail may come as millions of chunks, each of which costs more than its bytes. */
class Kept {
  readonly #maxBytes: number
  readonly #hold: Reserve
  #bytes = Buffer.alloc(0)
  #length = 0
  #problem: unknown

  constructor(maxBytes: number, hold: Reserve) {
    this.#maxBytes = maxBytes
    this.#hold = hold
  }

  take(chunk: Buffer): void {
    const length = this.#length + chunk.length
    if (this.#problem !== undefined || length > this.#maxBytes) return
    if (length > this.#bytes.length && !this.#grow(length)) return
    chunk.copy(this.#bytes, this.#length)
    this.#length = length
  }

  /** Whether there is room. */
  #grow(length: number): boolean {
    const size = Math.min(this.#maxBytes, Math.max(2 * this.#bytes.length, length, firstBytes))
    try {
      this.#hold(size - this.#bytes.length)
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

  all(): Buffer {
    if (this.#problem !== undefined) throw this.#problem
    return this.#bytes.subarray(0, this.#length)
  }
}
