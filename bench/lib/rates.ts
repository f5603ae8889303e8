import type { Bus } from '../../src/bus/bus.ts'
import type { Publisher } from './floors/publish.ts'
import { median } from './host.ts'

/** Awaited publishes. */
export interface Rates {
  /** Of one at a time, in ms. */
  p50: number
  /** With 256 outstanding. */
  perSecond: number
}

/** With the envelope: 500 B. */
const data = { q: 'x'.repeat(264) }

export const publisherOf = (bus: Bus): Publisher => ({
  publish: data => bus.publish({ type: 'bench.published', data }),
  close: () => bus.driver.close(),
})

export async function ratesOf({ publish, close }: Publisher, events: number): Promise<Rates> {
  await outstanding(256, Math.min(events, 5_000))
  const times: number[] = []
  for (let i = 0; i < 500; i++) {
    const begin = performance.now()
    await publish(data)
    times.push(performance.now() - begin)
  }
  const begin = performance.now()
  await outstanding(256, events)
  const seconds = (performance.now() - begin) / 1_000
  await close()
  return { p50: median(times), perSecond: events / seconds }

  async function outstanding(most: number, total: number) {
    let left = total
    const worker = async () => {
      while (left-- > 0) await publish(data)
    }
    await Promise.all(Array.from({ length: most }, worker))
  }
}
