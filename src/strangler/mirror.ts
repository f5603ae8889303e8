import { randomUUIDv7 } from 'node:crypto'
import { counterpart } from '../bus/ids.ts'
import { copyOf, jsonOf, type Json } from '../json.ts'
import type { Side } from './bucket.ts'
import type { RequestOrigin } from './candidate.ts'
import { comparedType, compareLanes, outcomeField, type LaneComparison } from './comparison.ts'
import { observeLane, runLane, type LaneAnswer } from './lane.ts'
import type { Meter } from './meter.ts'
import type { StranglerSettings } from './options.ts'
import type { Reporter } from './reporter.ts'
import type { StranglerSession } from './session.ts'

/** Bound on the time that a comparison may need after its answers: reading what they did, and `old` once more. */
const answerGraceMs = 5_000

/** A request that a user made, and what is needed to repeat it. */
export interface ServedRequest<Input> {
  readonly input: Input
  readonly origin: RequestOrigin
  /** Of the document, when the request came. */
  readonly version: number
}

/** Runs the lanes that no user waits for: nothing here delays a request or lets it fail. */
export class Mirror<Input, Output> {
  readonly #settings: StranglerSettings<Input, Output>
  readonly #meter: Meter
  readonly #reporter: Reporter
  readonly #running = new Set<Promise<void>>()

  constructor(settings: StranglerSettings<Input, Output>, meter: Meter, reporter: Reporter) {
    this.#settings = settings
    this.#meter = meter
    this.#reporter = reporter
  }

  /** Resolves when nothing is in flight. */
  async drained(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  /**
   * Sends a request that `old` answers to the candidate as well, if it is in the sample and there is room. Call what it returns with the answer of
   * `old`. Undefined if it is not mirrored.
   */
  begin(session: StranglerSession, request: ServedRequest<Input>): ((old: LaneAnswer) => void) | undefined {
    const { version, origin } = request
    if (!this.#isSampled(session, version)) return undefined
    // A copy, because `old` may change the input.
    const input = this.#copied(request)
    if (input === undefined) return undefined
    const answered = Promise.withResolvers<LaneAnswer>()
    this.#run(async () => {
      const candidate = this.#ask(session, input, origin, version)
      const old = await answered.promise
      const repeat = old.error ? undefined : await this.#repeat(input)
      const asked = await candidate
      if (asked) await this.#record(session, request, 'old', { old, candidate: asked, repeat })
    })
    return answered.resolve
  }

  /** Compares an answer of the candidate with `old`, if the request is in the sample, may be repeated, and there is room. */
  check(session: StranglerSession, request: ServedRequest<Input>, candidate: LaneAnswer): void {
    const { version, input: given } = request
    if (!this.#settings.isRepeatable(given) || !this.#isSampled(session, version)) return
    const input = this.#copied(request)
    if (input === undefined) return
    this.#meter.mirrored(version, 'asked')
    this.#run(async () => {
      const old = await this.#repeat(input)
      const repeat = old && !old.error ? await this.#repeat(input) : undefined
      if (old) await this.#record(session, request, 'candidate', { old, candidate, repeat })
    })
  }

  #isSampled({ follower }: StranglerSession, version: number): boolean {
    if (Math.random() * 100 >= follower.document.control.mirror) return false
    const isBusy = this.#running.size >= this.#settings.maxMirrors
    const missed = follower.isAway ? 'away' : isBusy ? 'busy' : undefined
    if (missed) this.#meter.mirrored(version, missed)
    return missed === undefined
  }

  #copied({ input, version }: ServedRequest<Input>): Json | undefined {
    try {
      return jsonOf(input, 'the input')
    } catch {
      this.#meter.mirrored(version, 'away')
      return undefined
    }
  }

  #run(compare: () => Promise<void>): void {
    const running = compare()
      .catch(() => {})
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** The answer of the candidate without effects; undefined if it could not be asked. */
  async #ask(
    session: StranglerSession,
    input: Json,
    origin: RequestOrigin,
    version: number,
  ): Promise<LaneAnswer | undefined> {
    try {
      const id = await session.effects.id()
      const correlationid = counterpart(origin.correlationid, id)
      const mirrored = { ...origin, correlationid, replay: `mirror/${id}` }
      const began = performance.now()
      const handle = await session.candidate.mirror(input, mirrored)
      this.#meter.mirrored(version, 'asked')
      const publishMs = performance.now() - began
      const answer = await runLane(correlationid, () =>
        handle.result({ within: this.#settings.withinMs + answerGraceMs }),
      )
      return { ...answer, ms: answer.ms + Math.round(publishMs * 10) / 10, task: handle.id }
    } catch {
      this.#meter.mirrored(version, 'away')
      return undefined
    }
  }

  /** The answer of `old` to an input that may be repeated; undefined for others. */
  async #repeat(input: Json): Promise<LaneAnswer | undefined> {
    const { old, isRepeatable } = this.#settings
    if (!isRepeatable(copyOf(input) as Input)) return undefined
    const correlationid = randomUUIDv7()
    return runLane(correlationid, () => old(copyOf(input) as Input, { correlationid }))
  }

  async #record(
    { bus }: StranglerSession,
    { origin, version }: ServedRequest<Input>,
    served: Side,
    answers: { readonly old: LaneAnswer; readonly candidate: LaneAnswer; readonly repeat: LaneAnswer | undefined },
  ): Promise<void> {
    const [old, candidate, repeat] = await Promise.all([
      observeLane(bus, answers.old),
      observeLane(bus, answers.candidate),
      answers.repeat && observeLane(bus, answers.repeat),
    ])
    const { name, compare } = this.#settings
    const compared = compareLanes({ old, candidate, repeat }, compare, bus.redactor)
    const paths = (fields: readonly { readonly path: string }[]) => fields.map(({ path }) => path)
    // Where an answer failed, its fields were not compared.
    const isNoise = (path: string) => path === outcomeField || (!candidate.error && !repeat?.error)
    const noise = compared.noise && paths(compared.noise).filter(isNoise)
    this.#meter.mirrored(version, 'compared')
    this.#meter.compared(version, paths(compared.differences), noise)
    this.#reporter.add({
      type: comparedType,
      source: `/strangler/${name}`,
      subject: name,
      ...origin,
      data: { strangler: name, version, served, ...compared } satisfies LaneComparison,
    })
  }
}
