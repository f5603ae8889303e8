import { randomUUIDv7 } from 'node:crypto'
import type { Askable } from '../ask/client.ts'
import { Client } from '../ask/client.ts'
import { settledOrAborted } from '../bus/abort.ts'
import { doneWith } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { consume, type HandlerResult, type RunningConsumer } from '../bus/delivery.ts'
import { counterpart, redrivenId } from '../bus/ids.ts'
import { tapSource } from '../bus/tapped.ts'
import { httpResponseType, type TappedBody, type TappedRequest, type TappedResponse } from '../bus/tapped-http.ts'
import { createEvent, type CloudEvent } from '../event.ts'
import { jsonOf } from '../json.ts'
import { aCount, aDuration, aFunction, anObject, aText, checkOptions, type Check } from '../options.ts'
import { assertName } from '../pattern.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { bucketOf } from './bucket.ts'
import { Candidate } from './candidate.ts'
import { comparedType, compareLanes, type LaneComparison } from './comparison.ts'
import { declareStrangler } from './control.ts'
import { DocumentFollower } from './document-follower.ts'
import { observeLane, runLane, type LaneAnswer } from './lane.ts'
import { MirrorEffects } from './mirror-effects.ts'
import { aCandidate, aCompare, effectRules, type StranglerOptions } from './options.ts'

/** Requests that a tap records, and the agent or workflow that is compared with the service behind it. */
export interface TapMirrorOptions extends Pick<StranglerOptions<unknown, unknown>, 'compare' | 'effects' | 'stubs'> {
  /** Name of the HTTP tap. */
  tap: string
  /** The route as the tap names it, such as `POST /reports`. */
  route: string
  candidate: Askable<never, unknown> | string
  /** What the candidate is asked. Default: the body as JSON, form or text; without a body, `{ params, query }`. */
  input?: (request: TappedRequest) => unknown
  /** What its answer is compared with. Default: the body of the response as JSON, form or text. */
  output?: (response: TappedResponse) => unknown
  /** Makes the same request to the service once more, and returns what `output` returns: only for requests where that does no harm. */
  repeat?: (request: TappedRequest) => unknown
  /** How long the candidate may take. Default 1m. */
  within?: Duration
  /** How many requests are compared at once in this process. Default 16; others wait on the log. */
  maxMirrors?: number
}

const checks = {
  tap: aText,
  route: aText,
  candidate: aCandidate,
  input: aFunction,
  output: aFunction,
  repeat: aFunction,
  compare: aCompare,
  effects: effectRules,
  stubs: anObject,
  within: aDuration,
  maxMirrors: aCount,
} satisfies Record<keyof TapMirrorOptions, Check>

const answerGraceMs = 5_000
const attempts = 5

/**
 * Asks a candidate what a tap saw a service being asked, and compares the answers. Requests come from the log, so that the service and its users
 * notice nothing, and none is missed while no worker runs.
 */
export class TapMirror {
  readonly kind = 'trigger'
  readonly name: string
  readonly types = [comparedType]
  readonly address: string
  readonly #options: TapMirrorOptions
  readonly #candidate: string
  readonly #withinMs: number

  /** @throws E_APP_INVALID */
  constructor(name: string, options: TapMirrorOptions) {
    assertName(name, 'a strangler name')
    checkOptions(`mirrorTap("${name}")`, options, checks, ['tap', 'route', 'candidate'])
    const { tap, route, candidate, within = '1m' } = options
    this.name = name
    this.address = `tap:${tap} ${route}`
    this.#options = options
    this.#candidate = typeof candidate === 'string' ? candidate : candidate.name
    this.#withinMs = milliseconds(within)
  }

  /** Compares until it is stopped. @throws E_LOG_UNAVAILABLE */
  async start(bus: Bus) {
    const { name } = this
    const { effects, stubs, maxMirrors = 16 } = this.#options
    const follower = new DocumentFollower(bus, name, await declareStrangler(bus, name, { candidate: this.#candidate }))
    const client = new Client(bus)
    const running: RunningMirror = {
      bus,
      follower,
      candidate: new Candidate(client, { strangler: name, name: this.#candidate, withinMs: this.#withinMs }),
      effects: new MirrorEffects(bus, { strangler: name, candidate: this.#candidate, effects, stubs }),
    }
    follower.start()
    const consumer = await consume(bus, {
      group: `strangler/${name}`,
      filter: [{ types: [httpResponseType] }],
      maxInFlight: maxMirrors,
      from: 'now',
      maxDeliveries: attempts,
      handle: event => this.#handle(running, event),
      fail: () => [],
    })
    return { address: this.address, stop: (abort?: AbortSignal) => stopMirror(consumer, follower, client, abort) }
  }

  async #handle(running: RunningMirror, event: CloudEvent): Promise<HandlerResult> {
    const { bus, follower } = running
    const { tap, route } = this.#options
    const { call } = event
    const ignored: HandlerResult = { outcome: { kind: 'done' } }
    if (event.source !== tapSource(tap) || call === undefined) return ignored
    const { control, version } = follower.document
    // By its id, so that a request that is delivered again is in the sample again.
    if (bucketOf(this.name, call) >= control.mirror) return ignored
    const stored = await bus.get(call, event.correlationid)
    const request = stored && ((await bus.resolveIfStored(stored)).data as TappedRequest | null)
    if (!request || request.route !== route) return ignored
    const compared = await this.#compare(running, event, request)
    const data: LaneComparison = { strangler: this.name, version, served: 'old', ...compared }
    const { tenant, user, correlationid } = event
    return doneWith(
      bus,
      createEvent({
        id: `strangler:${this.name}:compared:${call}`,
        type: comparedType,
        source: `/strangler/${this.name}`,
        subject: this.name,
        tenant,
        correlationid,
        causationid: event.id,
        ...(user !== undefined && { user }),
        data,
      }),
    )
  }

  async #compare({ bus, candidate, effects }: RunningMirror, event: CloudEvent, request: TappedRequest) {
    const { input = inputOf, output = outputOf, repeat: again, compare } = this.#options
    const { tenant, user, call } = event
    const id = await effects.id()
    const origin = {
      id: redrivenId(call!, id),
      tenant,
      correlationid: counterpart(event.correlationid, id),
      replay: `mirror/${id}`,
      ...(user !== undefined && { user }),
    }
    const handle = await candidate.mirror(jsonOf(input(request), 'the input'), origin)
    const answer = await runLane(origin.correlationid, () => handle.result({ within: this.#withinMs + answerGraceMs }))
    const old = recordedLane(event, output)
    const repeat = old.error || !again ? undefined : await runLane(randomUUIDv7(), () => again(request))
    const lanes = {
      old: await observeLane(bus, old),
      candidate: await observeLane(bus, { ...answer, task: handle.id }),
      repeat: repeat && (await observeLane(bus, repeat)),
    }
    return compareLanes(lanes, compare, bus.redactor)
  }
}

interface RunningMirror {
  readonly bus: Bus
  readonly follower: DocumentFollower
  readonly candidate: Candidate
  readonly effects: MirrorEffects
}

async function stopMirror(consumer: RunningConsumer, follower: DocumentFollower, client: Client, abort?: AbortSignal) {
  consumer.pause()
  await settledOrAborted(consumer.drained(), abort)
  await consumer.close()
  follower.stop()
  client.close()
}

/** The answer of the service, as the tap recorded it. */
function recordedLane({ data, correlationid }: CloudEvent, output: (response: TappedResponse) => unknown): LaneAnswer {
  const response = data as TappedResponse
  const { status, error, ms = 0 } = response
  const lane = { ms, correlationid }
  if (error) return { ...lane, error: { code: error.code, message: error.message } }
  if (status === undefined || status >= 400)
    return { ...lane, error: { code: `HTTP ${status}`, message: `the service answered ${status}` } }
  return { ...lane, output: jsonOf(output(response), 'the output') }
}

const valueOf = (body: TappedBody | undefined): unknown => body && (body.json ?? body.form ?? body.text)
const inputOf = ({ body, params, query }: TappedRequest): unknown => valueOf(body) ?? { params, query }
const outputOf = ({ body }: TappedResponse): unknown => valueOf(body) ?? null
