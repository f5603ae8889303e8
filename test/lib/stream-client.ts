import { StreamParts, type StreamPart } from '../../src/ask/parts.ts'
import type { CloudEvent } from '../../src/event.ts'

/** A client of `GET /events/stream` that reconnects where it was, to any gateway, and folds what it gets into what a user sees. */
export class StreamedClient {
  readonly parts: StreamPart[] = []
  /** Deltas as they came. */
  readonly deltas: CloudEvent[] = []
  readonly #fold = new StreamParts()
  #lastId: string | undefined

  /** Resolves when the connection is over. */
  async read(get: (headers: Record<string, string>) => Promise<Response>): Promise<void> {
    const response = await get(this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId })
    let rest = ''
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) this.#take(block)
      }
    } catch {
      // The gateway is gone.
    }
  }

  /** What a user sees of a kind: the pieces since the last restart. */
  shown(kind: 'text' | 'reasoning'): string {
    return shownOf(this.parts, kind)
  }

  #take(block: string) {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
    this.#lastId = field('id') ?? this.#lastId
    const data = field('data')
    if (data === undefined) return
    const event = JSON.parse(data) as CloudEvent
    if (event.type === 'model.delta') this.deltas.push(event)
    const isSignal = field('event') === 'signal'
    this.parts.push(...(isSignal ? this.#fold.ofSignal(event) : this.#fold.ofEvent(event)))
  }
}

export function shownOf(parts: readonly StreamPart[], kind: 'text' | 'reasoning'): string {
  const last = parts.findLastIndex(part => part.type === 'restart' && part.kind === kind)
  const pieces = parts.slice(last + 1).map(part => (part.type === kind ? part.text : ''))
  return pieces.join('')
}
