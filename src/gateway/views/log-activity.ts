import type { Bus } from '../../bus/bus.ts'
import type { CloudEvent } from '../../event.ts'
import { Rates, type Activity } from '../../trace/rates.ts'
import type { Streams } from '../streams/streams.ts'
import { WhileLooked } from './while-looked.ts'

/** Counts what happens on the log, for each tenant whose operators look. The reader of the streams reads it anyway. */
export class LogActivity {
  readonly #bus: Bus
  readonly #rates = new Map<string, Rates>()
  readonly #watching: WhileLooked

  constructor(bus: Bus, streams: Streams) {
    this.#bus = bus
    this.#watching = new WhileLooked(() => {
      const end = streams.watch(event => this.#add(event))
      return () => {
        end()
        this.#rates.clear()
      }
    })
  }

  /** The activity of a tenant since somebody began to look. */
  of(tenant: string): Activity {
    this.#watching.look()
    const now = Date.now()
    let rates = this.#rates.get(tenant)
    if (!rates) this.#rates.set(tenant, (rates = new Rates(now)))
    return rates.activity(now)
  }

  #add(event: CloudEvent): void {
    const rates = this.#rates.get(event.tenant)
    if (!rates) return
    const at = Date.now()
    // The usage of a model is in the data, which may be a blob.
    if (event.type !== 'model.result') return rates.add(event, at)
    void this.#bus.resolve(event).then(
      whole => rates.add(whole, at),
      () => rates.add(event, at),
    )
  }
}
