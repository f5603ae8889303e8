import { EventType, type AGUIEvent, type Message } from '@ag-ui/core'

/*
 * A run whose connection may break. The rest comes from the log: the parts that are open are ended, a snapshot of the messages takes their
 * place, and they are opened again.
 *
 *     POST ─▶ RUN_STARTED ─▶ … ─✗   GET ─▶ (RUN_STARTED) ─▶ MESSAGES_SNAPSHOT ─▶ … ─▶ RUN_FINISHED
 */

const minRetryDelayMs = 250
const maxRetryDelayMs = 5_000

export interface ResumableRun {
  open(): Promise<Response>
  /** Shows the thread from its beginning. */
  reopen(): Promise<Response>
  /** `open` does so too. */
  readonly isReplayed: boolean
  /** Ids of the reasoning that the client has. */
  readonly reasoning: readonly string[]
  readonly signal: AbortSignal
}

/** Rejects if the run cannot be opened. */
export async function resumableResponse(run: ResumableRun): Promise<Response> {
  const first = await run.open()
  if (!first.ok || !first.body) return first
  const events = resumedEvents(run, first)
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await events.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(`data: ${JSON.stringify(value)}\n\n`))
    },
    async cancel() {
      await events.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

async function* resumedEvents(run: ResumableRun, first: Response): AsyncGenerator<AGUIEvent> {
  const { reopen, signal } = run
  const state = new RunState(run)
  let response: Response | undefined = first
  for (let failures = 0; ; failures++) {
    try {
      response ??= await reopen()
      if (!response.ok && response.status < 500) throw new Error(`HTTP ${response.status}: ${await response.text()}`)
      if (response.ok)
        for await (const event of eventsIn(response.body!)) {
          failures = 0
          yield* state.take(event)
        }
    } catch (error) {
      const isRefused = response !== undefined && !response.ok
      if (signal.aborted || isRefused || !state.hasBegun) throw error
    }
    if (state.hasEnded) return
    signal.throwIfAborted()
    if (!state.hasBegun) throw new Error('the gateway closed the connection before the run began')
    yield* state.interrupt()
    response = undefined
    const delayMs = Math.min(minRetryDelayMs * 2 ** failures, maxRetryDelayMs)
    await new Promise(resolve => setTimeout(resolve, delayMs))
  }
}

/** What the client has of a run. */
class RunState {
  hasBegun = false
  hasEnded = false
  #isReplayed: boolean
  readonly #reasoning: Set<string>
  /** How parts that are open end, in the order of their beginning. */
  readonly #open = new Map<string, AGUIEvent>()

  constructor({ reasoning, isReplayed }: ResumableRun) {
    this.#reasoning = new Set(reasoning)
    this.#isReplayed = isReplayed
  }

  *take(event: AGUIEvent): Generator<AGUIEvent> {
    const { type } = event
    if (type === EventType.RUN_STARTED) {
      if (this.hasBegun) return
      this.hasBegun = true
    } else if (type === EventType.RUN_FINISHED || type === EventType.RUN_ERROR) this.hasEnded = true
    else if (type === EventType.MESSAGES_SNAPSHOT && this.#isReplayed) {
      this.#isReplayed = false
      return yield this.#withReasoning(event)
    } else this.#track(event)
    yield event
  }

  /** Ends what is open: the connection broke. */
  *interrupt(): Generator<AGUIEvent> {
    yield* [...this.#open.values()].toReversed()
    this.#open.clear()
    this.#isReplayed = true
  }

  #track(event: AGUIEvent) {
    const end = endOf(event)
    if (end) this.#open.set(keyOf(end), end)
    else this.#open.delete(keyOf(event))
    if (event.type === EventType.REASONING_MESSAGE_START) this.#reasoning.add(event.messageId)
  }

  /** A client keeps its reasoning where a snapshot has none; what is shown again would be there twice. */
  #withReasoning(event: Extract<AGUIEvent, { type: EventType.MESSAGES_SNAPSHOT }>): AGUIEvent {
    const known = new Set(event.messages.map(({ id }) => id))
    const begun = [...this.#reasoning].filter(id => !known.has(id))
    const empty = begun.map((id): Message => ({ id, role: 'reasoning', content: '' }))
    return { ...event, messages: [...event.messages, ...empty] }
  }
}

/** The end of what an event begins. */
function endOf(event: AGUIEvent): AGUIEvent | undefined {
  if (event.type === EventType.TOOL_CALL_START) return { type: EventType.TOOL_CALL_END, toolCallId: event.toolCallId }
  if (event.type === EventType.STEP_STARTED) return { type: EventType.STEP_FINISHED, stepName: event.stepName }
  if (event.type === EventType.TEXT_MESSAGE_START)
    return { type: EventType.TEXT_MESSAGE_END, messageId: event.messageId }
  if (event.type === EventType.REASONING_START) return { type: EventType.REASONING_END, messageId: event.messageId }
  if (event.type === EventType.REASONING_MESSAGE_START)
    return { type: EventType.REASONING_MESSAGE_END, messageId: event.messageId }
  return undefined
}

function keyOf(event: AGUIEvent): string {
  const { messageId, toolCallId, stepName } = event as { messageId?: string; toolCallId?: string; stepName?: string }
  return `${event.type} ${toolCallId ?? messageId ?? stepName}`
}

/** The events of a stream of server-sent events, one JSON value for each. */
async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<AGUIEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      const frames = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = frames.pop()!
      for (const frame of frames) if (frame.startsWith('data: ')) yield JSON.parse(frame.slice('data: '.length))
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
