import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { resultId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { CallText, noText, type TextPosition } from './call-text.ts'
import {
  isRequested,
  isTextDelta,
  textDeltaType,
  textRequestType,
  type TextDelta,
  type TextScope,
} from './text-delta.ts'

/*
 * What models are writing right now, for all readers of a process. One subscription keeps the text of every call that a reader follows:
 *
 *     a reader joins ─▶ gets the text so far: from memory, else the worker that produces it is asked, once for all readers of the scope
 *     a delta is missing ─▶ the worker is asked once ─▶ no answer in 500 ms ─▶ the log may have the answer of the call
 */

/** How long the worker that produces a text has to answer. */
const answerTimeoutMs = 500
/** Texts that are kept, in UTF-16 units. Those that have not grown for longest are dropped; who still reads one asks for it. */
const maxLength = 32 * 1024 * 1024
/** Answered calls whose last deltas may still come. */
const maxAnswered = 4_096
const maxPositions = 1_024

interface OpenCall {
  readonly text: CallText
  /** The newest delta that was added. */
  event: CloudEvent
  isAsked: boolean
}

/** The readers of one scope. */
interface Followers {
  readonly scope: TextScope
  readonly readers: Set<TextReader>
  /** Until then the workers may answer what was asked for the scope, by the monotonic clock. */
  readonly askedUntil: number
}

/** The text of open model calls, as signals tell it. One for each bus: {@link openTexts}. */
export class OpenTexts {
  readonly #bus: Bus
  /** By call. The one that grew last is the last. */
  readonly #calls = new Map<string, OpenCall>()
  readonly #answered = new Set<string>()
  readonly #followers = new Map<string, Followers>()
  #length = 0
  #missing: string[] = []
  #unsubscribe: (() => void) | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** `onText` is called when there is something to take for a call. */
  read(onText: (call: string) => void): TextReader {
    return new TextReader(this, onText)
  }

  /** Adds a reader to those of a scope. Returns the function that removes it. */
  follow(scope: TextScope, reader: TextReader): () => void {
    this.#unsubscribe ??= this.#bus.onSignal([{ types: [textDeltaType] }], event => this.#onDelta(event))
    const key = keyOf(scope)
    const known = this.#followers.get(key)
    const askedUntil = performance.now() + answerTimeoutMs
    const followers = known ?? { scope, readers: new Set(), askedUntil }
    this.#followers.set(key, followers)
    followers.readers.add(reader)
    for (const [call, { event }] of this.#calls) if (isRequested(scope, call, event)) reader.onText(call)
    if (!known) this.#request(scope)
    return () => this.#leave(key, followers, reader)
  }

  /** What came after a position, as signals. */
  after(call: string, position: TextPosition): { deltas: CloudEvent[]; position: TextPosition } | undefined {
    const open = this.#calls.get(call)
    if (!open) return undefined
    const { event, text } = open
    const deltas = text
      .after(position)
      .map(data => (isSameDelta(data, event.data as TextDelta) ? event : { ...event, id: randomUUIDv7(), data }))
    return { deltas, position: text.position }
  }

  /** The call was answered: its text is on the log. */
  end(call: string): void {
    if (!this.#drop(call)) return
    this.#answered.add(call)
    if (this.#answered.size > maxAnswered) this.#answered.delete(this.#answered.values().next().value!)
  }

  has(call: string): boolean {
    return this.#calls.has(call)
  }

  #onDelta(event: CloudEvent): void {
    const { subject: call, data } = event
    if (call === undefined || !isTextDelta(data) || this.#answered.has(call)) return
    const followers = keysOf(event).flatMap(key => this.#followers.get(key) ?? [])
    if (followers.length === 0) return
    const open = this.#calls.get(call) ?? { text: new CallText(), event, isAsked: false }
    const before = open.text.position
    const result = open.text.add(data)
    const { position } = open.text
    this.#length += position.offset - before.offset
    if (result === 'known') return
    this.#calls.delete(call)
    this.#calls.set(call, open)
    open.event = event
    if (result === 'gap') this.#askFor(call, open, followers)
    else for (const { readers } of followers) for (const reader of readers) reader.onText(call)
    while (this.#length > maxLength) this.#drop(this.#calls.keys().next().value!)
  }

  /** Asks once for all calls that lack a piece in this round of the event loop. */
  #askFor(call: string, open: OpenCall, followers: readonly Followers[]): void {
    if (open.isAsked) return
    open.isAsked = true
    const { position } = open.text
    // The scope may have been asked for just now, and the answer is on its way.
    const isComing = position.offset === 0 && followers.some(({ askedUntil }) => performance.now() < askedUntil)
    if (!isComing && this.#missing.push(call) === 1)
      setImmediate(() => this.#request({ calls: this.#missing.splice(0) }))
    setTimeout(() => {
      open.isAsked = false
      const { attempt, offset } = open.text.position
      if (attempt !== position.attempt || offset !== position.offset || this.#calls.get(call) !== open) return
      if (isComing) this.#askFor(call, open, [])
      else void this.#lookFor(call, open)
    }, answerTimeoutMs).unref()
  }

  /** The worker did not answer: it is gone, or the call has been answered. Else the next delta asks again. */
  async #lookFor(call: string, { event }: OpenCall): Promise<void> {
    const answer = await this.#bus.get(resultId(call), event.correlationid).catch(() => undefined)
    if (answer) this.end(call)
  }

  #request(data: unknown): void {
    if (this.#unsubscribe) this.#bus.signal({ type: textRequestType, source: '/ask', data })
  }

  #leave(key: string, followers: Followers, reader: TextReader): void {
    followers.readers.delete(reader)
    if (followers.readers.size > 0) return
    this.#followers.delete(key)
    for (const [call, { event }] of this.#calls)
      if (!keysOf(event).some(each => this.#followers.has(each))) this.#drop(call)
    if (this.#followers.size > 0) return
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  #drop(call: string): boolean {
    this.#length -= this.#calls.get(call)?.text.position.offset ?? 0
    return this.#calls.delete(call)
  }
}

/** One reader of texts in flight: it gets each text from its beginning, once and in order, in pieces as large as it is slow. */
export class TextReader {
  readonly onText: (call: string) => void
  readonly #texts: OpenTexts
  readonly #positions = new Map<string, TextPosition>()
  readonly #leave: (() => void)[] = []

  constructor(texts: OpenTexts, onText: (call: string) => void) {
    this.#texts = texts
    this.onText = onText
  }

  /** Reads the calls of this scope too: `onText` is called for what is known of them, and from now on. */
  follow(scope: TextScope): this {
    this.#leave.push(this.#texts.follow(scope, this))
    return this
  }

  /** The deltas of a call that this reader has not taken. A later attempt begins at offset 0. */
  take(call: string): CloudEvent[] {
    const taken = this.#texts.after(call, this.#positions.get(call) ?? noText)
    if (!taken || taken.deltas.length === 0) return []
    this.#positions.set(call, taken.position)
    if (this.#positions.size > maxPositions)
      for (const each of this.#positions.keys()) if (!this.#texts.has(each)) this.#positions.delete(each)
    return taken.deltas
  }

  close(): void {
    for (const leave of this.#leave.splice(0)) leave()
  }
}

const openTextsOf = new WeakMap<Bus, OpenTexts>()

/** The texts in flight on a log, for all readers in this process. */
export function openTexts(bus: Bus): OpenTexts {
  const known = openTextsOf.get(bus)
  if (known) return known
  const texts = new OpenTexts(bus)
  openTextsOf.set(bus, texts)
  return texts
}

const isSameDelta = (one: TextDelta, other: TextDelta) =>
  one.attempt === other.attempt && one.offset === other.offset && one.text.length === other.text.length

const all = 'all'
const keyOf = (scope: TextScope): string =>
  'correlation' in scope
    ? `correlation ${scope.correlation}`
    : scope.tenant === undefined
      ? all
      : JSON.stringify([scope.tenant, scope.user])

/** The keys of all scopes that a call is in. */
const keysOf = ({ correlationid: correlation, tenant, user }: CloudEvent): string[] => [
  keyOf({ correlation }),
  keyOf({ tenant }),
  ...(user === undefined ? [] : [keyOf({ tenant, user })]),
  all,
]
