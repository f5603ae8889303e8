import { TidingsError } from '../errors.ts'
import type { Draft } from '../event.ts'
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
 * The agents, tools and models that are paused on this log. One document holds their names. A signal announces a change, and polling
 * makes up for a lost signal. Deliveries for a paused name are parked, and redelivered on resume.
 */
export class Pauses {
  readonly #bus: Bus
  #paused: ReadonlySet<string> = new Set()
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

  /** What is paused on a log now. */
  static async read(bus: Bus): Promise<{ kind: PausableKind; name: string }[]> {
    return [...(await new Pauses(bus).#read())].flatMap(key => pausedBy(key) ?? [])
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

  /**
   * Pauses or resumes a name in every process and publishes the fact, with these attributes. Resolves with whether anything changed.
   * @throws E_USAGE, E_LOG_UNAVAILABLE
   */
  async set(
    kind: PausableKind,
    name: string,
    paused: boolean,
    by: Omit<Draft, 'type' | 'data'> = { source: '/control' },
  ): Promise<boolean> {
    if (this.#bus.redactor.knownSecrets(name) !== name)
      throw new TidingsError(
        'E_USAGE',
        `the name of the ${kind} contains a secret, and names are stored in clear: rename the ${kind}`,
      )
    const key = pauseKey(kind, name)
    const { isChanged } = await this.#bus.documents.update<string[]>(
      documentKey,
      (keys = []) =>
        keys.includes(key) === paused ? undefined : paused ? [...keys, key] : keys.filter(each => each !== key),
      { namesOnly: true },
    )
    if (isChanged) {
      const type = paused ? 'control.paused' : 'control.resumed'
      await this.#bus.publish({ ...by, type, data: { kind, name } })
      this.#bus.signal({ type: 'pauses.changed', data: null })
      await this.#refresh()
    }
    if (!paused) await this.#bus.redeliver({ key })
    return isChanged
  }

  /** Reads the document instead of the cached state. */
  async isPaused(kind: PausableKind, name: string): Promise<boolean> {
    return (await this.#read()).has(pauseKey(kind, name))
  }

  async #refresh() {
    try {
      const paused = await this.#read()
      const resumedBefore = this.#resumed
      this.#resumed = [...this.#paused].filter(key => !paused.has(key))
      this.#paused = paused
      // Twice, now and at the next refresh: until it sees the resume, this process may still park deliveries.
      for (const key of [...resumedBefore, ...this.#resumed]) await this.#bus.redeliver({ key })
    } catch {
      // The log is unavailable now; the next refresh tries once more.
    }
  }

  async #read(): Promise<ReadonlySet<string>> {
    return new Set(await this.#bus.documents.read<string[]>(documentKey))
  }
}
