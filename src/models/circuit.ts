import { randomUUID } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { log } from '../bus/telemetry/log.ts'
import type { ModelFailure } from './step.ts'

/*
 * Whether a provider is asked. One that fails request after request is given rest by all workers of the log, and one request at a
 * time finds out whether it is back:
 *
 *     closed ── maxFailing in a row ──▶ open ── probe begins to answer ──▶ closed
 *                                         └──── probe fails ──▶ open, for twice as long
 *
 * The state is a small document, written by compare-and-set; a signal says that it changed. A process that missed the signal reads
 * the document at its next failure, or when it wants to probe.
 */

export interface OpenCircuit {
  /** In ms since the epoch. */
  readonly since: number
  readonly probeAt: number
  /** From one probe to the next. */
  readonly intervalMs: number
  readonly reason: string
  /** Who probes now. Another one may after `until`: the first may have died. */
  readonly probe?: { readonly by: string; readonly until: number }
}

/** Requests that fail in a row, in one process, before the others are spared. One request alone never opens a circuit. */
const maxFailures = 5
const minProbeIntervalMs = 1_000
const maxProbeIntervalMs = 15_000
const probeLeaseTtlMs = 30_000
/** Of a write that others were faster with. */
const maxTries = 5
const changedType = 'circuits.changed'

export type Admission =
  | { readonly mayAsk: true; readonly probe?: string }
  | { readonly mayAsk: false; readonly rest: Cooldown }

/** How long to leave the provider alone, and why. */
export interface Cooldown {
  readonly ms: number
  readonly since: number
  readonly reason: string
}

const circuitKey = (model: string) => `circuit/${model}`

/** As it is on the log. `open` is absent while the provider is asked as always. */
export async function readCircuit(
  { driver }: Bus,
  model: string,
): Promise<{ revision: number; open: OpenCircuit | undefined }> {
  const document = await driver.getDocument(circuitKey(model))
  if (!document) return { revision: 0, open: undefined }
  return { revision: document.revision, open: (JSON.parse(document.value) as { open?: OpenCircuit }).open }
}

export class Circuit {
  readonly #bus: Bus
  readonly #model: string
  readonly #key: string
  #open: OpenCircuit | undefined
  #revision = 0
  /** Ids of requests that failed since the last answer. */
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

  /** How long to wait before anybody asks, as far as this process knows; undefined when somebody may. */
  cooldown(now = Date.now()): Cooldown | undefined {
    if (!this.#open) return undefined
    const { since, reason, probeAt, probe, intervalMs } = this.#open
    const ms = Math.max(probeAt - now, probe ? Math.min(probe.until - now, intervalMs) : 0)
    // Those that wait come one after the other, and not all at once.
    return ms > 0 ? { ms: Math.ceil(ms + (Math.random() * intervalMs) / 4), since, reason } : undefined
  }

  /** Whether this request may be sent. While the circuit is open one may, of all workers: the probe. */
  async admit(): Promise<Admission> {
    for (let n = 0; n < maxTries && this.#open; n++) {
      const rest = this.cooldown()
      if (rest) return { mayAsk: false, rest }
      const by = randomUUID()
      const probing = { ...this.#open, probe: { by, until: Date.now() + probeLeaseTtlMs } }
      try {
        if (await this.#write(probing)) return { mayAsk: true, probe: by }
      } catch {
        // Without the log nobody knows who probes: each request goes by its own backoff.
        return { mayAsk: true }
      }
    }
    return this.#open
      ? { mayAsk: false, rest: this.cooldown(this.#open.probeAt - minProbeIntervalMs)! }
      : { mayAsk: true }
  }

  /** The provider answers: at the first part of the answer, which may take minutes. */
  async answered({ probe }: { probe?: string } = {}): Promise<void> {
    this.#failing.clear()
    if (probe === undefined || !this.#open) return
    await this.#logErrors(async () => {
      for (let n = 0; n < maxTries && this.#open; n++) {
        const { since } = this.#open
        if (!(await this.#write(undefined))) continue
        const ms = Date.now() - since
        log.info?.({ model: this.#model, ms }, 'the provider of a model answers again')
      }
    })
  }

  /** The provider failed or could not be reached; or the request could not even be made, which says nothing of it. */
  async failed(request: string, { probe }: { probe?: string } = {}, { error, after = 0 }: ModelFailure): Promise<void> {
    const reason = error.message
    if (!error.retryable && probe === undefined) return
    if (error.retryable && this.#failing.size < maxFailures) this.#failing.add(request)
    await this.#logErrors(async () => {
      if (!this.#open) await this.#read()
      for (let n = 0; n < maxTries && !this.#open && this.#failing.size >= maxFailures; n++) {
        const now = Date.now()
        const open = {
          since: now,
          probeAt: now + Math.max(minProbeIntervalMs, after),
          intervalMs: minProbeIntervalMs,
          reason,
        }
        if (!(await this.#write(open))) continue
        const said = { model: this.#model, reason: this.#bus.redactor.text(reason) }
        log.warn?.(
          said,
          'the provider of a model fails request after request: from now on one request at a time asks it',
        )
      }
      for (let n = 0; n < maxTries && probe !== undefined && this.#open?.probe?.by === probe; n++) {
        const { since, intervalMs: last } = this.#open
        const intervalMs = Math.min(maxProbeIntervalMs, last * 2)
        if (await this.#write({ since, probeAt: Date.now() + Math.max(intervalMs, after), intervalMs, reason })) return
      }
    })
  }

  async #read(): Promise<void> {
    const { revision, open } = await readCircuit(this.#bus, this.#model)
    this.#revision = revision
    this.#open = open
  }

  /** False when somebody else was faster; then his state is known. */
  async #write(open: OpenCircuit | undefined): Promise<boolean> {
    const clean = open && { ...open, reason: this.#bus.redactor.text(open.reason) }
    const revision = await this.#bus.driver.putDocument(this.#key, JSON.stringify({ open: clean }), this.#revision)
    if (revision === 0) {
      await this.#read()
      return false
    }
    this.#revision = revision
    this.#open = clean
    if (!open) this.#failing.clear()
    this.#bus.signal({ type: changedType, data: { key: this.#key } })
    return true
  }

  /** Without the log the state stays as it was: requests then go by their own backoff. */
  async #logErrors(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      log.warn?.(
        { model: this.#model, reason: this.#bus.redactor.text(String(error)) },
        'the circuit of a model cannot be read or written',
      )
    }
  }
}
