import { isRuntimeType } from '../bus/admit.ts'
import { routedEventIn } from '../bus/routed.ts'
import { httpResponseType } from '../bus/tapped-http.ts'
import type { CloudEvent } from '../event.ts'
import type { Turn } from '../tasks/program.ts'
import { modelEndIn } from './outcome.ts'
import { summarizeEvent } from './summarize.ts'
import { turnIn } from './tree.ts'

/**
 * An event as lists and traces show it: its data is reduced to what {@link buildTraceTree}, the outcomes and the usage read, and what a
 * person reads of it is in `summary`.
 */
export interface Row extends CloudEvent {
  /** At most 160 characters, on one line. */
  readonly summary: string
  /** Size of the data as JSON, in bytes; absent if the data is in a blob. */
  readonly bytes?: number
}

const maxSummary = 160
const maxText = 200

/** Makes a row of an event, from what the event contains: data in a blob is not fetched. A row stays as it is. */
export function slim(event: CloudEvent): Row {
  if (isRow(event)) return event
  const { traceparent: _, data, ...envelope } = event
  const isInBlob = event.dataref !== undefined
  const turn = turnIn(event)
  return {
    ...envelope,
    data: turn ? turnData(turn) : slimData(event),
    summary: turn ? turnSummary(turn) : cut(summarizeEvent(event), maxSummary),
    ...(!isInBlob && { bytes: jsonBytes(data) }),
  }
}

/** The bus stores no event with a `summary`, which is no attribute of {@link CloudEvent}. */
const isRow = (event: CloudEvent): event is Row => 'summary' in event

const turnSummary = ({ program, programVersion, version, inputs, emits, end }: Turn) =>
  cut(
    [
      `turn ${version} of ${program} v${programVersion}`,
      ...(inputs.length > 0 ? [`after ${inputs.map(({ type }) => type).join(', ')}`] : []),
      ...(emits.length > 0 ? [`emits ${emits.map(({ type }) => type).join(', ')}`] : []),
      ...(end ? [end] : []),
    ].join('  '),
    maxSummary,
  )

function turnData({ program, programVersion, programHash, at, version, retryOf, end, withdrawn, inputs, emits }: Turn) {
  return {
    program,
    programVersion,
    programHash,
    at,
    version,
    retryOf,
    end,
    withdrawn,
    inputs: inputs.map(({ id, type, source, call, causationid, correlationid }) => ({
      id,
      type,
      source,
      call,
      causationid,
      correlationid,
    })),
    emits: emits.map(({ id, type, wait }) => ({ id, type, wait: wait && { target: wait.target, until: wait.until } })),
  }
}

/** What the tree and the outcomes read of any other event of the runtime. Fields that are undefined are absent in JSON. */
function slimData(event: CloudEvent): object | null {
  const { type, data } = event
  if (typeof data !== 'object' || data === null || !isRuntimeType(type)) return null
  const given = data as Record<string, unknown>
  const { usage, cost, finish, rawFinish, conversation, attempts } = given
  const failed = given.error as { code?: unknown; message?: unknown } | null | undefined
  const inner = routedEventIn(event)
  return {
    ...(type === 'model.result' && { usage, cost, finish, rawFinish, end: modelEndIn(event) }),
    error:
      typeof failed?.message === 'string' ? { code: failed.code, message: cut(failed.message, maxText) } : undefined,
    event: inner && { id: inner.id, type: inner.type, correlationid: inner.correlationid },
    conversation: (conversation as { handover?: unknown } | null | undefined)?.handover
      ? { handover: true }
      : undefined,
    guard: given.guard ? true : undefined,
    summary: type === 'model.invoke' && given.summary ? true : undefined,
    // Who decided and why, what step it is, and when a timer fires or an attempt follows.
    by: textIn(given.by),
    comment: textIn(given.comment),
    reason: textIn(given.reason),
    step: textIn(given.step),
    due: textIn(given.due),
    until: textIn(given.until),
    attempts: typeof attempts === 'number' ? attempts : undefined,
    retries: given.retries,
    // With which a service says that it failed.
    status: type === httpResponseType ? given.status : undefined,
    ranMs: typeof given.ranMs === 'number' ? given.ranMs : undefined,
  }
}

const textIn = (value: unknown) => (typeof value === 'string' ? cut(value, maxText) : undefined)

const cut = (text: string, length: number) =>
  text.length <= length ? text : `${text.slice(0, length - 1).toWellFormed()}…`

const encoder = new TextEncoder()
const ascii = /^[\u0000-\u007f]*$/ // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant

function jsonBytes(data: unknown): number {
  const json = JSON.stringify(data) ?? ''
  return ascii.test(json) ? json.length : encoder.encode(json).length
}
