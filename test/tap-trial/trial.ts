import { setTimeout } from 'node:timers/promises'
import { Random } from '../crashloop/random.ts'
import type { Call } from './call.ts'
import { Caller, type Received } from './caller.ts'
import { describeCall, differences } from './compare.ts'
import { conversations } from './conversation.ts'
import { Exchange } from './exchange.ts'
import type { Tap } from './tap.ts'
import { startUpstream, type Upstream } from './upstream.ts'

export interface TrialOptions {
  readonly seed: number
  readonly calls: number
  /** Conversations at a time. */
  readonly atOnce: number
  /** Number of `kill -9` of the tap. */
  readonly kills: number
  startTap(upstream: string): Promise<Tap>
  /** Is called when a part of the calls is made: what else happens to the tap. */
  onProgress?(made: number): void
}

/** What became of one call through the tap. */
export interface Made {
  readonly call: Call
  /** The tap was killed while it was in flight. */
  readonly wasCut: boolean
  /** Requests to the tap: more than one if it was killed before the server had the first. */
  readonly attempts: number
  /** Requests of it that the server got. */
  readonly forwarded: number
  /** Whether the tap was killed soon after its end, so that its end need not be on the log. */
  isRecent(): boolean
}

export interface TrialRun {
  readonly made: readonly Made[]
  /** What differed from the direct call, and what else went wrong. */
  readonly faults: readonly string[]
  readonly inFlightAtKills: readonly number[]
  readonly tap: Tap
  stop(): Promise<void>
}

const maxLargeAtOnce = 2
/** How long the end of a call takes to its place on the log, on a busy machine. */
const recentMs = 2_000

/** Makes every call twice, directly and through the tap, and compares. */
export async function runTrial(options: TrialOptions): Promise<TrialRun> {
  const [own, tapped] = [await startUpstream(), await startUpstream()]
  const tap = await options.startTap(tapped.url)
  const trial = new Trial(options, { own, tapped }, tap)
  const stop = async () => {
    trial.close()
    await tap.end('SIGKILL')
    await own[Symbol.asyncDispose]()
    await tapped[Symbol.asyncDispose]()
  }
  try {
    await trial.run()
    const { made, faults, inFlightAtKills } = trial
    for (const each of tapped.unexpected) faults.push(`the server got a request that nobody made: ${each}`)
    return { made, faults, inFlightAtKills, tap, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Ten thousand calls have gigabytes of bodies. */
const withoutBodies = (call: Call): Call => ({
  ...call,
  request: { ...call.request, chunks: [] },
  reply: { ...call.reply, chunks: [] },
})

class Trial {
  readonly made: Made[] = []
  readonly faults: string[] = []
  readonly inFlightAtKills: number[] = []
  readonly #options: TrialOptions
  readonly #servers: { readonly own: Upstream; readonly tapped: Upstream }
  readonly #tap: Tap
  readonly #direct: Caller
  readonly #through: Caller
  readonly #inFlight = new Set<Exchange>()
  /** Odd while the tap is away. */
  #epoch = 0
  #restarted: Promise<void> = Promise.resolve()
  #large = 0
  readonly #killedAt: number[] = []

  constructor(options: TrialOptions, servers: { readonly own: Upstream; readonly tapped: Upstream }, tap: Tap) {
    this.#options = options
    this.#servers = servers
    this.#tap = tap
    this.#direct = new Caller(servers.own.port)
    this.#through = new Caller(tap.port)
  }

  close(): void {
    this.#direct.close()
    this.#through.close()
  }

  async run(): Promise<void> {
    const { seed, calls, atOnce, kills } = this.#options
    const all = conversations(seed, calls)
    const work = async () => {
      for (const conversation of all) for (const call of conversation) await this.#make(call)
    }
    const killer = this.#kill(kills)
    await Promise.all(Array.from({ length: atOnce }, work))
    await killer
  }

  async #make(call: Call): Promise<void> {
    if (call.isLarge) while (this.#large >= maxLargeAtOnce) await setTimeout(20)
    if (call.isLarge) this.#large++
    const direct = () => this.#once(call, this.#servers.own, this.#direct)
    const tapped = () => this.#tapped(call)
    // Neither way is always the first.
    const [own, other] =
      call.n % 2
        ? [await direct(), await tapped()]
        : await tapped().then(async other => [await direct(), other] as const)
    if (call.isLarge) this.#large--
    const { exchange } = other
    const { wasCut, seen, endedAt } = exchange
    this.made.push({
      call: withoutBodies(call),
      wasCut,
      attempts: other.attempts,
      forwarded: seen.length,
      isRecent: () => this.#isRecent(endedAt),
    })
    this.#options.onProgress?.(this.made.length)
    for (const lack of own.exchange.heldBack)
      this.faults.push(`${describeCall(call)}: the direct call was held back: ${lack}`)
    if (exchange.wasCut) return
    const sides = [
      { ...own, host: `127.0.0.1:${this.#servers.own.port}` },
      { ...other, host: `127.0.0.1:${this.#servers.tapped.port}` },
    ] as const
    for (const difference of differences(...sides)) this.faults.push(`${describeCall(call)}: ${difference}`)
  }

  /** A call that never got to the server, because the tap was away, is made again. */
  async #tapped(call: Call) {
    for (let attempts = 1; ; attempts++) {
      await this.#restarted
      const epoch = this.#epoch
      const done = await this.#once(call, this.#servers.tapped, this.#through)
      const { exchange, received } = done
      const wasAway = epoch % 2 === 1 || this.#epoch !== epoch
      if (!wasAway || exchange.seen.length > 0 || received.end !== 'broken') return { ...done, attempts }
    }
  }

  async #once(
    call: Call,
    { exchanges }: Upstream,
    caller: Caller,
  ): Promise<{ exchange: Exchange; received: Received }> {
    const exchange = new Exchange(call)
    exchanges.set(call.n, exchange)
    if (caller === this.#through) this.#inFlight.add(exchange)
    const received = await caller.call(exchange)
    if (received.end === 'left')
      await exchange.until('the server learns that the client left', () =>
        exchange.seen.every(({ wasLeft }) => wasLeft),
      )
    this.#inFlight.delete(exchange)
    exchange.over()
    exchanges.delete(call.n)
    return { exchange, received }
  }

  #isRecent(endedAt: number): boolean {
    return this.#killedAt.some(at => at >= endedAt && at - endedAt < recentMs)
  }

  async #kill(kills: number): Promise<void> {
    const random = new Random(this.#options.seed)
    for (let killed = 0; killed < kills; killed++) {
      // Spread over the calls, at any moment of one.
      const due = ((killed + 0.5) / kills) * this.#options.calls
      while (this.made.length < due) await setTimeout(10)
      await setTimeout(random.between(0, 60))
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#restarted = promise
      this.#epoch++
      const ended = this.#tap.end('SIGKILL')
      this.#killedAt.push(performance.now())
      for (const exchange of this.#inFlight) exchange.wasCut = true
      this.inFlightAtKills.push(this.#inFlight.size)
      await ended
      await this.#tap.start()
      this.#epoch++
      resolve()
    }
  }
}
