import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'

/** A model that writes what the test tells it, when the test does. Each request is one sheet, in the order of the requests. */
export class Pen {
  readonly model: LanguageModelV4
  readonly #sheets: Sheet[] = []
  readonly #all: Sheet[] = []
  readonly #waiting: ((sheet: Sheet) => void)[] = []

  constructor() {
    this.model = {
      specificationVersion: 'v4',
      provider: 'test',
      modelId: 'pen',
      supportedUrls: {},
      doGenerate: () => Promise.reject(new Error('only streams')),
      doStream: () => {
        const sheet = new Sheet()
        this.#all.push(sheet)
        const waiting = this.#waiting.shift()
        if (waiting) waiting(sheet)
        else this.#sheets.push(sheet)
        return Promise.resolve({ stream: sheet.stream })
      },
    }
  }

  /** The next request that was made, or will be. */
  async sheet(): Promise<Sheet> {
    return this.#sheets.shift() ?? new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Ends what is still open, so that a worker can stop at once. */
  close(): void {
    for (const sheet of this.#all) sheet.close()
  }
}

/** One answer of the pen. */
export class Sheet {
  readonly stream: ReadableStream<LanguageModelV4StreamPart>
  #isOpen = true
  #controller!: ReadableStreamDefaultController<LanguageModelV4StreamPart>

  constructor() {
    this.stream = new ReadableStream({ start: controller => void (this.#controller = controller) })
  }

  /** Writes a text, whose last word is held back unless a blank follows. */
  write(...texts: readonly string[]): void {
    for (const delta of texts) this.part({ type: 'text-delta', id: 't', delta })
  }

  think(delta: string): void {
    this.part({ type: 'reasoning-delta', id: 'r', delta })
  }

  part(part: LanguageModelV4StreamPart): void {
    this.#controller.enqueue(part)
  }

  end(unified: 'stop' | 'tool-calls' = 'stop'): void {
    this.part({
      type: 'finish',
      usage: {
        inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 1, text: 1, reasoning: 0 },
      },
      finishReason: { unified, raw: undefined },
    })
    this.#controller.close()
    this.#isOpen = false
  }

  close(): void {
    if (this.#isOpen) this.end()
  }

  /** The connection breaks, and the request is retried. */
  tear(): void {
    this.#isOpen = false
    this.#controller.error(Object.assign(new Error('torn'), { code: 'ECONNRESET' }))
  }
}
