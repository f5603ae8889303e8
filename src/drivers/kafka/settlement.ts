/*
 * What a group has settled of a partition, as the committed offset of the Kafka group stores it:
 *
 *     offset      the low-water mark: everything up to it is settled
 *     metadata    1:STEPS:BITMAP, of what is above the mark
 *     STEPS       OFFSET.ATTEMPT, …: an unsettled event up to this offset (base 36, above the mark) has this attempt; offsets ascend
 *     BITMAP      base64url; one bit for each offset, the first byte is that of the mark (offset ÷ 8)
 */

/** Highest offset above the mark that may be delivered. Metadata have room for 24,576. */
export const maxAboveMark = 20_000

/** Maximum number of attempts that are told apart. */
const maxSteps = 16
const windowBytes = 8_192

/** As a commit stores it. */
export interface StoredSettlement {
  readonly offset: number
  readonly metadata: string
}

/** Offsets may have more bits than those that bitwise operators keep. */
const byteOf = (offset: number) => Math.floor(offset / 8)

interface AttemptStep {
  readonly upTo: number
  readonly attempt: number
}

/** The progress of one owner in a partition: which events are open, and which are settled. */
export class PartitionSettlement {
  /** Offsets that were opened and not settled, in their order. */
  readonly #open = new Set<number>()
  readonly #bits = Buffer.alloc(windowBytes)
  readonly #steps: readonly AttemptStep[]
  /** Offset ÷ 8 of the first byte of the bits. */
  #firstByte: number
  #lastByte: number
  #examined: number
  #handedOutTo = 0

  constructor({ offset, metadata }: StoredSettlement) {
    const [, steps = '', bitmap = ''] = metadata.startsWith('1:') ? metadata.split(':') : []
    this.#examined = offset
    this.#firstByte = byteOf(offset)
    const bytes = Buffer.from(bitmap, 'base64url')
    bytes.copy(this.#bits)
    this.#lastByte = this.#firstByte + Math.max(0, bytes.length - 1)
    this.#steps = steps
      .split(',')
      .filter(Boolean)
      .map(step => step.split('.'))
      .map(([upTo, attempt]) => ({ upTo: offset + Number.parseInt(upTo!, 36), attempt: Number(attempt) }))
  }

  /** Everything up to this offset is settled. */
  get mark(): number {
    const [first] = this.#open
    return first === undefined ? this.#examined : first - 1
  }

  /** Everything up to this offset was opened, settled, or is not for the group. */
  get examined(): number {
    return this.#examined
  }

  get open(): ReadonlySet<number> {
    return this.#open
  }

  /** Whether the offset may be opened now. */
  hasRoomFor(offset: number): boolean {
    return offset - this.mark <= maxAboveMark
  }

  isSettled(offset: number): boolean {
    const byte = byteOf(offset)
    if (byte < this.#firstByte || byte > this.#lastByte) return byte < this.#firstByte
    return (this.#bits[byte - this.#firstByte]! >> (offset % 8)) % 2 === 1
  }

  /** How many are settled above the mark, up to an offset. */
  countSettled(until: number): number {
    let count = 0
    for (let byte = byteOf(this.mark); byte <= Math.min(this.#lastByte, byteOf(until)); byte++) {
      const bits = this.#bits[byte - this.#firstByte] ?? 0
      if (bits === 0) continue
      for (let bit = 0; bit < 8; bit++) {
        const offset = byte * 8 + bit
        if ((bits >> bit) % 2 === 1 && offset > this.mark && offset <= until) count++
      }
    }
    return count
  }

  /** Nothing up to this offset is for the group, except what was opened. */
  skipTo(offset: number): void {
    if (offset > this.#examined) this.#examined = offset
  }

  /** Offsets are opened in their order. */
  openAt(offset: number): void {
    this.#open.add(offset)
    this.#examined = offset
  }

  /** The member works on it from now on. */
  handOut(offset: number): void {
    this.#handedOutTo = Math.max(this.#handedOutTo, offset)
  }

  settle(offset: number): void {
    this.#open.delete(offset)
    this.#moveWindow()
    const byte = byteOf(offset)
    if (byte < this.#firstByte) return
    this.#bits[byte - this.#firstByte]! |= 1 << (offset % 8)
    this.#lastByte = Math.max(this.#lastByte, byte)
  }

  /** The attempt of a delivery, as far as earlier owners told. */
  attemptOf(offset: number): number {
    return this.#steps.find(({ upTo }) => offset <= upTo)?.attempt ?? 1
  }

  /** An earlier owner may have held what is open up to this offset. */
  get mayBeHeldTo(): number {
    return this.#steps.at(-1)?.upTo ?? 0
  }

  /** This owner holds nothing any more. */
  handOver(): void {
    this.#handedOutTo = 0
  }

  /** All that this owner may hold counts as one attempt if it dies. */
  stored(): StoredSettlement {
    const offset = this.mark
    const steps = this.#stepsAbove(offset)
      .map(({ upTo, attempt }) => `${(upTo - offset).toString(36)}.${attempt}`)
      .join(',')
    const from = Math.max(0, byteOf(offset) - this.#firstByte)
    const bits = this.#bits.subarray(from, this.#lastByte - this.#firstByte + 1)
    return { offset, metadata: `1:${steps}:${bits.toString('base64url')}` }
  }

  #stepsAbove(mark: number): AttemptStep[] {
    const handedOutTo = this.#handedOutTo
    const ends = [...new Set([...this.#steps.map(({ upTo }) => upTo), handedOutTo])].sort((a, b) => a - b)
    const steps: AttemptStep[] = []
    for (const upTo of ends) {
      const attempt = this.attemptOf(upTo) + (upTo <= handedOutTo ? 1 : 0)
      if (upTo <= mark || attempt === 1) continue
      if (steps.at(-1)?.attempt === attempt) steps.pop()
      steps.push({ upTo, attempt })
    }
    return steps.slice(0, maxSteps)
  }

  /** The window of bits follows the mark. */
  #moveWindow(): void {
    const by = byteOf(this.mark) - this.#firstByte
    if (by < windowBytes / 2) return
    if (by < windowBytes) this.#bits.copyWithin(0, by)
    this.#bits.fill(0, Math.max(0, windowBytes - by))
    this.#firstByte += by
    this.#lastByte = Math.max(this.#lastByte, this.#firstByte)
  }
}
