import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'

/** Receives what a body contains. */
export interface BodySink {
  chunk(bytes: Buffer): void
  /** Once, after the last chunk. `problem`: why the rest of the body cannot be read. */
  end(problem?: string): void
}

/** Takes the bytes of a body as they were sent, and passes on what they contain, up to a maximum of bytes. */
export interface BodyDecoder {
  push(chunk: Buffer): void
  end(): void
}

const decompressors: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

/** `encoding`: the `content-encoding` of the body. */
export function bodyDecoder(encoding: string | undefined, maxBytes: number, sink: BodySink): BodyDecoder {
  const bounded = new BoundedSink(maxBytes, sink)
  const name = encoding?.trim().toLowerCase() || 'identity'
  if (name === 'identity') return { push: chunk => bounded.chunk(chunk), end: () => bounded.end() }
  const decompressor = decompressors[name]?.()
  if (!decompressor) {
    bounded.end(`its encoding "${name}" is not known`)
    return { push: () => {}, end: () => {} }
  }
  decompressor.on('data', (chunk: Buffer) => bounded.chunk(chunk))
  decompressor.on('end', () => bounded.end())
  decompressor.on('error', error => bounded.end(error.message))
  const giveUp = (problem?: string) => {
    bounded.end(problem)
    decompressor.destroy()
  }
  return {
    push(chunk) {
      if (decompressor.destroyed) return
      if (bounded.hasEnded) return giveUp()
      decompressor.write(chunk)
      if (decompressor.writableLength > maxWaitingBytes) giveUp('it comes faster than it can be decompressed')
    },
    end: () => void (decompressor.destroyed || decompressor.end()),
  }
}

/** Of a compressed body that waits to be decompressed: what is forwarded does not wait for that. */
const maxWaitingBytes = 8 * 1024 * 1024

class BoundedSink {
  readonly #maxBytes: number
  readonly #sink: BodySink
  #bytes = 0
  #hasEnded = false

  constructor(maxBytes: number, sink: BodySink) {
    this.#maxBytes = maxBytes
    this.#sink = sink
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  chunk(bytes: Buffer): void {
    if (this.#hasEnded) return
    this.#bytes += bytes.length
    if (this.#bytes > this.#maxBytes) this.end(`it is larger than ${this.#maxBytes} bytes`)
    else this.#sink.chunk(bytes)
  }

  end(problem?: string): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#sink.end(problem)
  }
}
