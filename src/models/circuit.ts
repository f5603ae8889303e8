import { randomUUID } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { log } from '../bus/telemetry/log.ts'
import type { ModelFailure } from './step.ts'

/*
 * The circuit breaker of a model's provider, shared by all workers of a log. After several failures in a row, one request at a time,
 * the probe, finds out whether the provider is available again:
 *
 *     closed ── maxFailures in a row ──▶ open ── probe is being answered ──▶ closed
 *                                          └──── probe fails ──▶ open, with twice the interval
 *
 * The state is a document. A signal announces a change. A process that missed the signal reads the document at its next failure, or
 * when it wants to probe.
 */

export interface OpenCircuit {
  /** Ms since the epoch. */
  readonly since: number
  readonly probeAt: number
  /** Time between two probes. */
  readonly intervalMs: number
  readonly reason: string
  /** The running probe. After `until` another one may start: the first may have died. */
  readonly probe?: { readonly by: string; readonly until: number }
}

/** Different requests that must fail in a row, in one process, to open the circuit. */
const maxFailures = 5
const minProbeIntervalMs = 1_000
const maxProbeIntervalMs = 15_000
const probeLeaseTtlMs = 30_000
const changedType = 'circuits.changed'

export type Admission =
  | { readonly mayAsk: true; readonly probe?: string }
  | { readonly mayAsk: false; readonly cooldown: Cooldown }

/** How long to send nothing to the provider, and why. */
export interface Cooldown {
  readonly ms: number
  readonly since: number
  readonly reason: string
}

const circuitKey = (model: string) => `circuit/${model}`

/** The document of a circuit. `open` is absent while the circuit is closed. */
interface CircuitDocument {
  readonly open?: OpenCircuit
}

/** The stored state of a circuit; undefined while it is closed. */
export async function readCircuit(bus: Bus, model: string): Promise<OpenCircuit | undefined> {
  return (await bus.documents.read<CircuitDocument>(circuitKey(model)))?.open
}

export class Circuit {
  readonly #bus: Bus
  readonly #model: string
  readonly #key: string
  #open: OpenCircuit | undefined
  /** Ids of the requests that failed since the last answer. */
  readonly #failing = new Set<string>()
  #stop: (() => void) | undefined

  constructor(bus: Bus, model: string) {
    this.#bus = bus
    this.#model = model
    this.#key = circuitKey(model)
  }

  async start(): Promise<void> {
    this.#stop = this.#bus.onSignal([{ types: [changedType] }], ({ data }) => {
      if ((data as { key?: unknown } | null)?.key === this.#key) void this.#logErrors(() => this.#read())
    })
    await this.#logErrors(() => this.#read())
  }

  stop(): void {
    this.#stop?.()
  }

  /** How long to wait before a request, as far as this process knows; undefined if one may be sent now. */
  cooldown(open = this.#open, now = this.#bus.now()): Cooldown | undefined {
    if (!open) return undefined
    const { since, reason, probeAt, probe, intervalMs } = open
    const ms = Math.max(probeAt - now, probe ? Math.min(probe.until - now, intervalMs) : 0)
    // Jitter, so that the waiting requests do not all return at once.
    return ms > 0 ? { ms: Math.ceil(ms + (Math.random() * intervalMs) / 4), since, reason } : undefined
  }

  /** Whether this request may be sent. While the circuit is open, one request of all workers may: the probe. */
  async admit(): Promise<Admission> {
    if (!this.#open) return { mayAsk: true }
    const known = this.cooldown()
    if (known) return { mayAsk: false, cooldown: known }
    const by = randomUUID()
    try {
      await this.#update(open =>
        open && !this.cooldown(open) ? { ...open, probe: { by, until: this.#bus.now() + probeLeaseTtlMs } } : open,
      )
    } catch {
      // Without the log the workers cannot agree on a probe: each request follows its own backoff.
      return { mayAsk: true }
    }
    const open = this.#open
    if (!open || open.probe?.by === by) return { mayAsk: true, ...(open && { probe: by }) }
    const { since, reason } = open
    return { mayAsk: false, cooldown: this.cooldown() ?? { ms: minProbeIntervalMs, since, reason } }
  }

  /** The provider answers: called at the first part of the answer, which may take minutes to complete. */
  async answered({ probe }: { probe?: string } = {}): Promise<void> {
    this.#failing.clear()
    if (probe === undefined || !this.#open) return
    const { since } = this.#open
    await this.#logErrors(async () => {
      if (await this.#update(() => undefined))
        log.info?.({ model: this.#model, ms: this.#bus.now() - since }, 'the provider of a model is available again')
    })
  }

  /** The provider failed or could not be reached, or the request could not be made, which says nothing about the provider. */
  async failed(request: string, { probe }: { probe?: string } = {}, { error, after = 0 }: ModelFailure): Promise<void> {
    const reason = error.message
    if (!error.retryable && probe === undefined) return
    if (error.retryable && this.#failing.size < maxFailures) this.#failing.add(request)
    await this.#logErrors(async () => {
      if (!this.#open) await this.#read()
      if (!this.#open && this.#failing.size >= maxFailures) {
        const now = this.#bus.now()
        const probeAt = now + Math.max(minProbeIntervalMs, after)
        if (await this.#update(open => open ?? { since: now, probeAt, intervalMs: minProbeIntervalMs, reason }))
          log.warn?.(
            { model: this.#model, reason: this.#bus.redactor.text(reason) },
            `the provider of a model failed ${maxFailures} requests in a row: until it answers, one request at a time is sent`,
          )
      }
      if (probe !== undefined)
        await this.#update(open => {
          if (open?.probe?.by !== probe) return open
          const intervalMs = Math.min(maxProbeIntervalMs, open.intervalMs * 2)
          return { since: open.since, probeAt: this.#bus.now() + Math.max(intervalMs, after), intervalMs, reason }
        })
    })
  }

  /** Changes the stored state. False if `change` returned it unchanged. */
  async #update(change: (open: OpenCircuit | undefined) => OpenCircuit | undefined): Promise<boolean> {
    const { redactor } = this.#bus
    const { value, isChanged } = await this.#bus.documents.update<CircuitDocument>(
      this.#key,
      current => {
        const open = change(current?.open)
        if (open === current?.open) return undefined
        return open ? { open: { ...open, reason: redactor.text(open.reason) } } : {}
      },
      // The id of a probe must stay as it is.
      { namesOnly: true },
    )
    this.#open = value?.open
    if (!isChanged) return false
    if (!this.#open) this.#failing.clear()
    this.#bus.signal({ type: changedType, data: { key: this.#key } })
    return true
  }

  async #read(): Promise<void> {
    this.#open = await readCircuit(this.#bus, this.#model)
  }

  /** Without the log the state stays as it is, and requests follow their own backoff. */
  async #logErrors(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      log.warn?.(
        { model: this.#model, reason: this.#bus.redactor.text(String(error)) },
        'the circuit breaker of a model cannot be read or written',
      )
    }
  }
}
