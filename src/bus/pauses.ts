import { TidingsError } from '../errors.ts'
import type { Bus } from './bus.ts'
import type { DeliveryOutcome } from './driver.ts'
import { reason } from './reason.ts'

export type PausableKind = 'agent' | 'tool' | 'model'

const pauseKey = (kind: PausableKind, name: string) => `paused/${kind}/${name}`

/** Keeps a delivery for something that is paused until it is resumed. */
export const pausedOutcome = (kind: PausableKind, name: string): DeliveryOutcome => ({
  kind: 'park',
  reason: reason('E_PAUSED', `the ${kind} "${name}" is paused`),
  key: pauseKey(kind, name),
})

/** What a key of {@link pauseKey} pauses; undefined for any other key. */
export function pausedBy(key: string): { kind: PausableKind; name: string } | undefined {
  const [, kind, name] = /^paused\/(agent|tool|model)\/(.+)$/s.exec(key) ?? []
  return name === undefined ? undefined : { kind: kind as PausableKind, name }
}

const documentKey = 'paused'
const pollIntervalMs = 2_000

/**
 * What is paused, as every process sees it. The truth is one small document; a signal says that it changed, and a slow
 * second look makes up for a lost signal. What arrives meanwhile is parked and handed out again on resume.
 */
export class Pauses {
  readonly #bus: Bus
  #paused = new Set<string>()
  #resumed: string[] = []
  #stop: (() => void) | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  has(kind: PausableKind, name: string): boolean {
    return this.#paused.has(pauseKey(kind, name))
  }

  get list(): string[] {
    return [...this.#paused]
  }

  async start(): Promise<void> {
    await this.#refresh()
    const unsubscribe = this.#bus.onSignal([{ types: ['pauses.changed'] }], () => void this.#refresh())
    const timer = setInterval(() => void this.#refresh(), pollIntervalMs)
    timer.unref()
    this.#stop = () => {
      unsubscribe()
      clearInterval(timer)
    }
  }

  stop() {
    this.#stop?.()
  }

  /** Pauses or resumes in every process; on the log as a fact. Resolves with whether anything changed. */
  async set(kind: PausableKind, name: string, paused: boolean): Promise<boolean> {
    if (this.#bus.redactor.knownSecrets(name) !== name)
      throw new TidingsError('E_USAGE', `the name of the ${kind} holds a secret: names are on the log in clear`)
    const key = pauseKey(kind, name)
    for (;;) {
      const { revision, set } = await this.#read()
      if (set.has(key) === paused) {
        if (!paused) await this.#bus.driver.release({ key })
        return false
      }
      if (paused) set.add(key)
      else set.delete(key)
      if (!(await this.#bus.driver.putDocument(documentKey, JSON.stringify([...set]), revision))) continue
      await this.#bus.publish({
        type: paused ? 'control.paused' : 'control.resumed',
        source: '/control',
        data: { kind, name },
      })
      this.#bus.signal({ type: 'pauses.changed', data: null })
      await this.#refresh()
      if (!paused) await this.#bus.driver.release({ key })
      return true
    }
  }

  /** As the log has it now. */
  async isPaused(kind: PausableKind, name: string): Promise<boolean> {
    return (await this.#read()).set.has(pauseKey(kind, name))
  }

  async #refresh() {
    try {
      const { set } = await this.#read()
      const again = this.#resumed
      this.#resumed = [...this.#paused].filter(key => !set.has(key))
      this.#paused = set
      // Also from here, and once more at the next look: what this process parked after the resume, by its older view,
      // or was about to park, would wait for ever.
      for (const key of [...again, ...this.#resumed]) await this.#bus.driver.release({ key })
    } catch {
      // The log cannot be read now; the next look will tell.
    }
  }

  async #read() {
    const document = await this.#bus.driver.getDocument(documentKey)
    return { revision: document?.revision ?? 0, set: new Set<string>(document ? JSON.parse(document.value) : []) }
  }
}
