import { GatewayConnection } from '../../../src/client/connection.ts'
import type { CloudEvent } from '../../../src/event.ts'
import { CallText } from '../../../src/tasks/call-text.ts'
import { isTextDelta, textDeltaType } from '../../../src/tasks/text-delta.ts'
import { turnType } from '../../../src/tasks/turn.ts'
import { socketEvents } from '../api/event-socket.ts'
import type { Info } from '../api/shapes.ts'
import { type TraceLine, TraceLines } from '../trace/trace-lines.ts'
import type { TraceUpdate, WrittenText } from './protocol.ts'
import { readRows } from './read-rows.ts'

interface Listener {
  update(update: TraceUpdate): void
  texts(texts: readonly WrittenText[]): void
}

/** What a person sees at first, while the rest arrives. Then more each time by the factor, so that all reports together cost little. */
const firstEvents = 1_000
const moreEvents = 4
const minPauseMs = 100
const textPauseMs = 60
/** The first message has what fits the screen. */
const firstLines = 200
/** The page never works for long on one of the others. */
const moreLines = 2_000

/** The lines of a correlation. Events may be added; then the lines that changed are reported, at most every 100 ms. */
export class OpenTrace {
  readonly #events: CloudEvent[] = []
  readonly #lines = new TraceLines()
  readonly #listener: Listener
  readonly #texts = new Map<string, CallText>()
  readonly #changedTexts = new Set<string>()
  #known: (TraceLine | undefined)[] = []
  #order = new Uint32Array()
  #timer: ReturnType<typeof setTimeout> | undefined
  #textTimer: ReturnType<typeof setTimeout> | undefined
  #pauseMs = minPauseMs
  #isComplete = false
  /** The number of events with which the next lines are reported. */
  #reportAt = firstEvents

  constructor(listener: Listener) {
    this.#listener = listener
  }

  get events(): readonly CloudEvent[] {
    return this.#events
  }

  /** Whether it has all events that were on the log when it was opened. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** The line that shows an event. While events arrive, its own line may be among those to come. */
  find(event: string): number | undefined {
    return this.#isComplete ? this.#lines.find(event) : this.#lines.lineOf(event)
  }

  /** Adds what is on the log. Lines are reported while it arrives. */
  add(events: readonly CloudEvent[]): void {
    for (const event of events) {
      this.#events.push(event)
      if (event.call !== undefined) this.#texts.delete(event.call)
    }
    if (this.#events.length < this.#reportAt) return
    this.#reportAt = this.#events.length * moreEvents
    this.#report()
  }

  /** What is on the log has been added. */
  complete(): void {
    this.#isComplete = true
    this.#report()
  }

  addLater(event: CloudEvent): void {
    this.#events.push(event)
    this.#timer ??= setTimeout(() => this.#report(), this.#pauseMs)
  }

  signal({ type, subject: call, data }: CloudEvent): void {
    if (type !== textDeltaType || call === undefined || !isTextDelta(data)) return
    const text = this.#texts.get(call) ?? new CallText()
    this.#texts.set(call, text)
    if (text.add(data) !== 'added') return
    this.#changedTexts.add(call)
    this.#textTimer ??= setTimeout(() => this.#reportTexts(), textPauseMs)
  }

  close(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#textTimer)
  }

  #reportTexts(): void {
    this.#textTimer = undefined
    const texts = [...this.#changedTexts].flatMap(call => {
      const part = this.#texts.get(call)?.parts.at(-1)
      return part ? [{ call, kind: part.kind, text: part.text }] : []
    })
    this.#changedTexts.clear()
    this.#listener.texts(texts)
  }

  #report(): void {
    this.#timer = undefined
    const begun = performance.now()
    const { lines, totals } = this.#lines.build(this.#events)
    const changed = lines.filter(line => !isSame(line, this.#known[line.n]))
    for (const line of changed) this.#known[line.n] = line
    const known = this.#order
    const order = (this.#order = Uint32Array.from(lines, line => line.n))
    const isFirst = known.length === 0
    const isSameOrder = order.length === known.length && order.every((n, i) => n === known[i])
    for (let at = 0, size: number = firstLines; at === 0 || at < changed.length; at += size, size = moreLines) {
      const isPartial = at + size < changed.length
      // The order names lines, so it comes with the last of them; but what fits the screen is shown at once.
      const shown = isPartial ? isFirst && at === 0 && order.slice(0, size) : !isSameOrder && order
      this.#listener.update({
        lines: changed.slice(at, at + size),
        ...(shown && { order: shown }),
        totals,
        isPartial,
        isComplete: this.#isComplete,
      })
    }
    // A large trace takes longer, and is reported less often.
    this.#pauseMs = Math.max(minPauseMs, 4 * (performance.now() - begun))
  }
}

function isSame(line: TraceLine, known: TraceLine | undefined): boolean {
  return (
    known !== undefined &&
    line.parent === known.parent &&
    line.depth === known.depth &&
    line.status === known.status &&
    line.to === known.to &&
    line.note === known.note &&
    line.problem === known.problem &&
    line.tokens === known.tokens &&
    line.cost === known.cost &&
    line.below === known.below &&
    line.turns.length === known.turns.length &&
    line.tags.length === known.tags.length &&
    line.spans.length === known.spans.length &&
    line.spans.every((span, i) => span.to === known.spans[i]!.to && span.kind === known.spans[i]!.kind)
  )
}

/** Reads a correlation from the gateway, and follows it. Ends when the signal aborts. @throws ClientError */
export async function followTrace(
  { url, token }: { readonly url: string; readonly token?: string },
  correlation: string,
  trace: OpenTrace,
  signal: AbortSignal,
): Promise<void> {
  const connection = new GatewayConnection({ url, ...(token !== undefined && { token }) })
  const rows = readRows(connection, correlation, signal)
  let part = await rows.next()
  for (; !part.done; part = await rows.next()) trace.add(part.value)
  trace.complete()
  const head = part.value
  const filter = { correlation, type: ['>', turnType], rows: '1', after: head, signal }
  const needsCredential = async () => {
    const response = await connection.send('info', { signal, retryForMs: Infinity })
    return ((await response.json()) as Info).identity
  }
  for await (const { event, cursor } of socketEvents({ connection, url, needsCredential }, filter))
    if (cursor === undefined) trace.signal(event)
    else trace.addLater(event)
}
