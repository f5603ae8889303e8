import { createHash } from 'node:crypto'
import type { CaptureShare } from '../capture-room.ts'

/** The bytes of a body that passed: all of them up to a maximum; of a larger one only how many there were, and their digest. */
export class BodyCollector {
  readonly #maxBytes: number
  readonly #share: CaptureShare | undefined
  readonly #hash = createHash('sha256')
  #chunks: Uint8Array[] = []
  #bytes = 0
  #isKept = true

  /** `share`: what it may keep of the memory of all bodies. */
  constructor(maxBytes: number, share?: CaptureShare) {
    this.#maxBytes = maxBytes
    this.#share = share
  }

  push(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
    this.#isKept &&= this.#bytes <= this.#maxBytes && (this.#share?.take(chunk.length) ?? true)
    if (this.#isKept) this.#chunks.push(chunk)
    else this.#chunks = []
  }

  /** Call it once. `isWhole`: nothing of the body is missing. */
  end(isWhole: boolean): CollectedBody {
    const length = this.#bytes
    if (!isWhole) return { length }
    const sha256 = this.#hash.digest('hex')
    return { length, sha256, ...(this.#isKept && { bytes: Buffer.concat(this.#chunks) }) }
  }
}

export interface CollectedBody {
  readonly length: number
  /** Absent if a part of the body is missing. */
  readonly sha256?: string
  /** Absent if there were more than are kept, or a part is missing. */
  readonly bytes?: Buffer
}
