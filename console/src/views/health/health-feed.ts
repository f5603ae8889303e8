import { serverNow } from '../../api/server-clock.ts'
import { useEffect, useState } from 'react'
import type { PausableKind } from '../../../../src/bus/pauses.ts'
import type { UnavailableModel } from '../../../../src/models/unavailable.ts'
import type { Activity } from '../../../../src/trace/rates.ts'
import type { SeenWorker } from '../../../../src/tasks/presence.ts'
import { messages } from '../../api/streams.ts'

/** A consumer group as the gateway sees it. */
export interface Group {
  readonly group: string
  readonly kind: 'app' | 'tool' | 'model' | 'other'
  readonly name: string
  readonly lag: number
  readonly inFlight: number
  readonly paused: boolean
  /** Age of its oldest call without an answer. */
  readonly oldestMs?: number
}

type Numbers = readonly (number | null)[]

interface HealthMessage {
  readonly at: string
  readonly groups: readonly Group[]
  /** Everything that is paused: agents have no group of their own. */
  readonly paused: readonly { readonly kind: PausableKind; readonly name: string }[]
  readonly history: {
    readonly everyMs: number
    readonly from: number
    readonly series: Readonly<Record<string, Readonly<Record<string, Numbers>>>>
  }
  /** Models whose provider keeps failing. */
  readonly unavailable: readonly UnavailableModel[]
  readonly activity: Activity
  readonly workers: readonly SeenWorker[]
}

/** The last 15 minutes of one number: its value in each slot, oldest first. */
export interface Series {
  /** Seconds since the epoch, of each slot. */
  readonly times: readonly number[]
  of(name: string, number: string): Numbers
}

export interface Health extends Omit<HealthMessage, 'history'> {
  readonly series: Series
}

const shownMs = 15 * 60_000

/** Samples by time, of every message that came. */
class Samples {
  readonly #slots = new Map<number, Map<string, number>>()
  #everyMs = 5_000

  add({ everyMs, from, series }: HealthMessage['history']): void {
    this.#everyMs = everyMs
    for (const [name, numbers] of Object.entries(series))
      for (const [number, values] of Object.entries(numbers))
        for (const [i, value] of values.entries()) if (value !== null) this.#put(from + i * everyMs, `${name} ${number}`, value)
    for (const time of this.#slots.keys()) if (time < serverNow() - shownMs - everyMs) this.#slots.delete(time)
  }

  #put(time: number, key: string, value: number): void {
    const slot = this.#slots.get(time) ?? new Map<string, number>()
    slot.set(key, value)
    this.#slots.set(time, slot)
  }

  /** All slots of the last 15 minutes, also those without a sample: the axis does not move with the data. */
  series(): Series {
    const newest = Math.max(...this.#slots.keys())
    const count = shownMs / this.#everyMs
    const times = Array.from({ length: count }, (_, i) => newest - (count - 1 - i) * this.#everyMs)
    const slots = times.map(time => this.#slots.get(time))
    return {
      times: times.map(time => time / 1_000),
      of: (name, number) => slots.map(slot => slot?.get(`${name} ${number}`) ?? null),
    }
  }
} // biome-ignore format: one loop a line

/** What the gateway sends every two seconds, with the samples of the last 15 minutes. */
export function useHealth(): { readonly health: Health | undefined; readonly error: unknown } {
  const [health, setHealth] = useState<Health>()
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const stop = new AbortController()
    const samples = new Samples()
    void (async () => {
      for await (const { history, ...message } of messages<HealthMessage>('health/stream', 'health', stop.signal)) {
        samples.add(history)
        setHealth({ ...message, series: samples.series() })
      }
    })().catch(setError)
    return () => stop.abort()
  }, [])
  return { health, error }
}
