import type { Bus } from '../bus/bus.ts'
import { log } from '../bus/telemetry/log.ts'
import { metrics } from '../bus/telemetry/metrics.ts'
import { warn } from '../bus/telemetry/warn.ts'
import type { TidingsError } from '../errors.ts'

/** Logs or prints a redacted warning; names from outside may contain secrets. */
export function warnOfTrigger({ redactor }: Pick<Bus, 'redactor'>, trigger: string, text: string): void {
  if (log.warn) log.warn({ trigger }, redactor.text(text))
  else warn(redactor, `trigger ${trigger}: ${text}`)
}

const logThrottleMs = 10_000

/** Counts messages that a trigger rejects, and logs them at most every ten seconds. */
export class RejectionLog {
  readonly #bus: Bus
  readonly #trigger: string
  readonly #what: string
  #unlogged = 0
  #lastLogAt = -Infinity

  /** `what`: such as `rejected a message`. */
  constructor(bus: Bus, trigger: string, what: string) {
    this.#bus = bus
    this.#trigger = trigger
    this.#what = what
  }

  add({ code, message }: TidingsError, topic: string): void {
    metrics.refused.add(1, this.#trigger, code)
    this.#unlogged++
    if (performance.now() - this.#lastLogAt < logThrottleMs) return
    this.#lastLogAt = performance.now()
    const more = this.#unlogged > 1 ? `; ${this.#unlogged} since the last such warning` : ''
    warnOfTrigger(this.#bus, this.#trigger, `${this.#what}: ${code} ${topic}: ${message}${more}`)
    this.#unlogged = 0
  }
}
