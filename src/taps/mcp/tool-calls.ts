import { hash } from 'node:crypto'
import { tapSource, tapTarget } from '../../bus/tapped.ts'
import { boundedValue, refusedValue } from '../bounded-value.ts'
import type { Recorder } from '../recorder.ts'
import { correlatedBy, type CallOrigin } from '../request-origin.ts'
import { subjectOf } from '../subject.ts'
import type { TapAnswer } from '../tap-answer.ts'
import type { CallEnd } from './call-end.ts'
import type { McpListener, ObservedCall, ObservedCallRecord } from './observer.ts'
import { toolListedType, type ToolListing } from './tool-listing.ts'

/** The log takes 4 MiB; redaction may add to it. */
const maxRecordedBytes = 3 * 1024 * 1024
const maxResponsesBytes = 512 * 1024
const maxProgressBytes = 8 * 1024
/** Of one process. */
const maxLists = 1_000

/** Records the calls of tools and the lists of tools that an observer reports. */
export class ToolCallRecorder implements McpListener<CallOrigin> {
  readonly #recorder: Recorder
  /** Requests that are not on the log yet. */
  readonly #beginning = new Map<CallOrigin, Set<Promise<unknown>>>()
  readonly #listed = new Set<string>()

  constructor(recorder: Recorder) {
    this.#recorder = recorder
  }

  /** Resolves when the calls of this origin that have begun are on the log, or have waited long enough for it. Undefined if there are none. */
  requestsDurable(origin: CallOrigin): Promise<unknown> | undefined {
    const beginning = this.#beginning.get(origin)
    return beginning && Promise.all(beginning)
  }

  begin({ tool, data, traceparent, origin }: ObservedCall<CallOrigin>): ObservedCallRecord {
    const about = { ...origin, ...correlatedBy(traceparent) }
    const input = boundedValue(data.input, maxRecordedBytes)
    const responses = boundedValue(data.inputResponses, maxResponsesBytes)
    const call = this.#recorder.begin(
      bus => ({
        ...about,
        type: 'tool.invoke',
        subject: subjectOf(bus.redactor, tool),
        data: { input: input.value, ...(data.inputResponses !== undefined && { inputResponses: responses.value }) },
        outline: { input: refusedValue(input.bytes) },
      }),
      input.bytes + responses.bytes,
    )
    this.#hold(origin, call.durable())
    return {
      end: end => call.end(...recordedEnd(end)),
      progress: progress => this.#report(call.id, about, progress),
    }
  }

  /** Each list is recorded once, so that the log has every description that a server ever showed. */
  listed(listing: ToolListing): void {
    const { name } = this.#recorder
    const digest = hash('sha256', JSON.stringify(listing)).slice(0, 32)
    // A server that shows another list each time must not fill the log.
    if (this.#listed.has(digest) || this.#listed.size >= maxLists) return
    this.#listed.add(digest)
    this.#recorder.note({
      id: `${tapTarget(name)}:tools:${digest}`,
      type: toolListedType,
      subject: name,
      data: boundedValue(listing, maxRecordedBytes).value,
    })
  }

  #hold(origin: CallOrigin, durable: Promise<unknown>): void {
    const beginning = this.#beginning.get(origin) ?? new Set()
    this.#beginning.set(origin, beginning.add(durable))
    void durable.then(() => {
      beginning.delete(durable)
      if (beginning.size === 0) this.#beginning.delete(origin)
    })
  }

  #report(call: string, { secrets, ...about }: CallOrigin, progress: object): void {
    const { value } = boundedValue(secrets?.scrubJson(progress) ?? progress, maxProgressBytes)
    const signal = {
      ...about,
      type: 'tool.progress',
      source: tapSource(this.#recorder.name),
      subject: call,
      data: value,
    }
    void this.#recorder.read(async bus => bus.signal(signal))
  }
}

/** What the tool returned is kept as it is, also if it says that the tool failed. */
function recordedEnd(end: CallEnd): [answer: TapAnswer, bytes: number] {
  if (!('output' in end)) return [{ type: 'tool.failed', data: { error: end.error } }, 0]
  const { value: output, bytes } = boundedValue(end.output, maxRecordedBytes)
  return end.error
    ? [{ type: 'tool.failed', data: { error: end.error, output } }, bytes]
    : [{ type: 'tool.result', data: { output } }, bytes]
}
