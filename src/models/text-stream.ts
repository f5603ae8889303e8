import { randomUUIDv7 } from 'node:crypto'
import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { signalAbout } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import type { Redactor } from '../bus/redact.ts'
import { StreamRedactor } from '../bus/redact-stream.ts'
import { createEvent, type CloudEvent } from '../event.ts'
import { CallText, noText } from '../tasks/call-text.ts'
import { isRequested, textDeltaType, type TextKind, type TextPiece, type TextRequest } from '../tasks/text-delta.ts'

/** Deltas that come within this time of each other are sent as one. */
const coalesceMs = 30

type Part = Omit<TextPiece, 'text'>

/** Text that is redacted together, because a secret may span its parts. */
interface Track {
  readonly redactor: StreamRedactor
  /** Not yet redacted. */
  raw: { readonly part: Part; text: string }[]
  /** The parts of the text that the redactor holds back, each with its length before redaction. */
  readonly held: { readonly part: Part; length: number }[]
}

/** Sends one attempt of a model as `model.delta` signals while it is produced, and once more from the beginning when a reader asks. */
export class TextStream {
  readonly #bus: Bus
  readonly #request: CloudEvent
  readonly #hidden: ReadonlySet<TextKind>
  readonly #attempt = randomUUIDv7()
  readonly #text = new CallText()
  #sent = noText
  readonly #tracks = new Map<string, Track>()
  readonly #changed = new Set<Track>()
  /** Parts that are being produced, by kind and the provider's id. */
  readonly #open = new Map<string, Part>()
  readonly #inputs = new Set<string>()
  #parts = 0
  #timer: NodeJS.Timeout | undefined

  /** `request`: the `model.invoke`. `hidden`: see {@link hiddenKinds}. */
  constructor(bus: Bus, request: CloudEvent, hidden: ReadonlySet<TextKind>) {
    this.#bus = bus
    this.#request = request
    this.#hidden = hidden
  }

  /** Adds what a provider sent. */
  add(part: LanguageModelV4StreamPart): void {
    switch (part.type) {
      case 'text-delta':
        return this.#push('text', part.id, part.delta)
      case 'reasoning-delta':
        return this.#push('reasoning', part.id, part.delta)
      case 'text-end':
        return void this.#open.delete(`text ${part.id}`)
      case 'reasoning-end':
        return void this.#open.delete(`reasoning ${part.id}`)
      case 'tool-input-start':
        return void (part.providerExecuted || this.#openInput(part.id, part.toolName))
      case 'tool-input-delta':
        return void (this.#inputs.has(part.id) && this.#push('tool-input', part.id, part.delta))
      case 'tool-call': {
        // A provider may send the arguments as a whole.
        const { toolCallId, toolName, input, providerExecuted } = part
        if (providerExecuted || this.#inputs.has(toolCallId)) return
        this.#openInput(toolCallId, toolName)
        return this.#push('tool-input', toolCallId, input)
      }
      case 'custom':
      case 'error':
      case 'file':
      case 'finish':
      case 'ping':
      case 'raw':
      case 'reasoning-file':
      case 'reasoning-start':
      case 'response-metadata':
      case 'source':
      case 'stream-start':
      case 'text-start':
      case 'tool-approval-request':
      case 'tool-input-end':
      case 'tool-result':
        return
    }
  }

  /** Sends the rest. */
  end(): void {
    this.#redact()
    for (const { redactor } of this.#tracks.values()) redactor.end()
    this.#send()
    this.close()
  }

  /** Sends nothing more. */
  close(): void {
    clearTimeout(this.#timer)
  }

  /** Sends the text once more from its beginning, if it is what a reader asks for. */
  answer(request: TextRequest): void {
    if (!isRequested(request, this.#request.id, this.#request)) return
    this.#sent = noText
    this.#schedule()
  }

  #openInput(id: string, toolName: string): void {
    this.#inputs.add(id)
    const [toolCallId, name] = [id, toolName].map(each => this.#bus.redactor.text(`${each}`)) as [string, string]
    this.#open.set(`tool-input ${id}`, this.#newPart('tool-input', { toolCallId, toolName: name }))
  }

  #newPart(kind: TextKind, call?: { toolCallId: string; toolName: string }): Part {
    return { part: this.#parts++, kind, ...call }
  }

  #push(kind: TextKind, id: string, delta: string): void {
    const key = `${kind} ${id}`
    // Providers may break their promises.
    const text = `${delta}`
    // Empty parts are not stored, and have no number.
    if (text === '') return
    const part = this.#open.get(key) ?? this.#newPart(kind)
    this.#open.set(key, part)
    if (this.#hidden.has(kind)) return
    const track = this.#trackOf(kind === 'tool-input' ? key : kind)
    const last = track.raw.at(-1)
    if (last?.part === part) last.text += text
    else track.raw.push({ part, text })
    this.#changed.add(track)
    this.#schedule()
  }

  #trackOf(key: string): Track {
    const known = this.#tracks.get(key)
    if (known) return known
    const redactor = new StreamRedactor(this.#bus.redactor, (text, length) => this.#write(track, text, length))
    const track: Track = { redactor, raw: [], held: [] }
    this.#tracks.set(key, track)
    return track
  }

  /** The first delta goes at once; what comes while the timer runs goes when it ends. */
  #schedule(): void {
    if (this.#timer) return
    this.#redact()
    if (!this.#send()) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#changed.size > 0 || this.#sent === noText) this.#schedule()
    }, coalesceMs).unref()
  }

  #redact(): void {
    for (const track of this.#changed) {
      const { raw } = track
      track.raw = []
      for (const { part, text } of raw) {
        track.held.push({ part, length: text.length })
        track.redactor.push(text)
      }
    }
    this.#changed.clear()
  }

  /** Redacted text of a track: it is cut at the borders of its parts, unless a redaction spans one. */
  #write({ held }: Track, text: string, length: number): void {
    let rest = text
    let left = length
    for (let first = held[0]; first && left > 0; first = held[0]) {
      const taken = Math.min(left, first.length)
      const isWhole = left <= first.length || rest.length !== left
      const own = isWhole ? rest : rest.slice(0, taken)
      const { offset } = this.#text.position
      if (own !== '') this.#text.add({ attempt: this.#attempt, offset, ...first.part, text: own })
      rest = rest.slice(own.length)
      left -= taken
      first.length -= taken
      if (first.length === 0) held.shift()
    }
  }

  #send(): boolean {
    const deltas = this.#text.after(this.#sent)
    // Redacted already.
    for (const data of deltas)
      this.#bus.sendSignal(
        createEvent(signalAbout(this.#request, `/models/${this.#request.target}`, textDeltaType, data)),
      )
    if (deltas.length > 0) this.#sent = this.#text.position
    return deltas.length > 0
  }
}

/** The kinds of text that a declared path covers on the log. They are not streamed. */
export function hiddenKinds(redactor: Redactor): ReadonlySet<TextKind> {
  const covers = (...at: string[]) => redactor.mayCover('model.result', ['data', ...at])
  const isHidden: Record<TextKind, boolean> = {
    text: covers('text') || covers('content', '*', 'text'),
    reasoning: covers('reasoning') || covers('content', '*', 'text'),
    'tool-input':
      redactor.mayCover('model.result', ['data', 'toolCalls', '*', 'input'], true) ||
      covers('toolCalls', '*', 'malformed') ||
      ['tool.invoke', 'agent.invoke'].some(type => redactor.mayCover(type, ['data', 'input'], true)),
  }
  const isAllHidden = redactor.mayCover(textDeltaType, ['data', 'text'])
  return new Set((Object.keys(isHidden) as TextKind[]).filter(kind => isAllHidden || isHidden[kind]))
}
