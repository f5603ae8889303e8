/** Of all bodies of a tap that are under way. Of more, only size and digest are recorded. */
const maxCapturedBytes = 256 * 1024 * 1024

/** The memory in which bodies are kept while they pass: that of all exchanges of a tap together. */
export class CaptureRoom {
  #left: number

  constructor(maxBytes = maxCapturedBytes) {
    this.#left = maxBytes
  }

  /** The part of one exchange. */
  share(): CaptureShare {
    let taken = 0
    return {
      take: bytes => {
        if (bytes > this.#left) return false
        this.#left -= bytes
        taken += bytes
        return true
      },
      release: () => {
        this.#left += taken
        taken = 0
      },
    }
  }
}

export interface CaptureShare {
  /** False if there is no room for these bytes. */
  take(bytes: number): boolean
  /** Gives back all that was taken. */
  release(): void
}
