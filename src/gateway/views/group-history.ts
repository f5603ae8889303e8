import type { Bus } from '../../bus/bus.ts'
import type { GroupState } from '../../bus/driver.ts'
import type { LogActivity } from './log-activity.ts'
import { WhileLooked } from './while-looked.ts'

export const sampledEveryMs = 5_000
const slots = (15 * 60_000) / sampledEveryMs

/** What happened on the log as a whole, within one tenant. */
interface Total {
  /** Events, as an average over ten seconds. */
  readonly perSecond: number
  /** Calls of tools and models that failed, and attempts that were retried, in the minute before. */
  readonly failed: number
  readonly retries: number
}

interface Sample {
  readonly groups: ReadonlyMap<string, GroupState>
  readonly totals: ReadonlyMap<string, Total>
}

type Numbers = (number | null)[]

/** Samples of the last 15 minutes, oldest first, at equal distances; null where nobody looked. */
export interface GroupSeries {
  readonly everyMs: number
  /** Time of the first sample, ms since the epoch. */
  readonly from: number
  readonly series: Readonly<Record<string, Readonly<Record<string, Numbers>>>>
}

/** Samples the consumer groups of a log while somebody looks. */
export class GroupHistory {
  readonly #bus: Bus
  readonly #activity: LogActivity
  /** By the number of their time slot. */
  readonly #samples = new Map<number, Sample>()
  readonly #tenants = new Set<string>()
  readonly #sampling: WhileLooked

  constructor(bus: Bus, activity: LogActivity) {
    this.#bus = bus
    this.#activity = activity
    this.#sampling = new WhileLooked(() => {
      const timer = setInterval(() => void this.#sample().catch(() => {}), sampledEveryMs).unref()
      return () => {
        clearInterval(timer)
        this.#tenants.clear()
      }
    })
  }

  /** The groups now, which are a sample too. */
  async sample(tenant: string): Promise<GroupState[]> {
    this.#sampling.look()
    this.#tenants.add(tenant)
    return this.#sample()
  }

  /** The samples since a time. There is one at least. */
  since(tenant: string, since: number): GroupSeries {
    return this.#series(tenant, Math.floor(since / sampledEveryMs))
  }

  /** Every look samples too; the last one in a slot counts. */
  async #sample(): Promise<GroupState[]> {
    const groups = await this.#bus.listGroups()
    const slot = Math.floor(Date.now() / sampledEveryMs)
    for (const old of this.#samples.keys()) if (old <= slot - slots) this.#samples.delete(old)
    this.#samples.set(slot, {
      groups: new Map(groups.map(each => [each.group, each])),
      totals: new Map([...this.#tenants].map(tenant => [tenant, this.#totalOf(tenant)])),
    })
    return groups
  }

  #totalOf(tenant: string): Total {
    const { perSecond, tools, models } = this.#activity.of(tenant)
    const sum = (name: 'failed' | 'retries') => [...tools, ...models].reduce((total, each) => total + each[name], 0)
    return { perSecond, failed: sum('failed'), retries: sum('retries') }
  }

  #series(tenant: string, since: number): GroupSeries {
    const newest = Math.max(...this.#samples.keys())
    const first = Math.max(Math.min(since, newest + 1), Math.min(...this.#samples.keys()))
    const samples = Array.from({ length: Math.max(0, newest - first + 1) }, (_, i) => this.#samples.get(first + i))
    const names = new Set(samples.flatMap(sample => [...(sample?.groups.keys() ?? [])]))
    const numbers = (read: (sample: Sample) => number | undefined): Numbers =>
      samples.map(sample => (sample && read(sample)) ?? null)
    const groups = [...names].map(name => [
      name,
      {
        lag: numbers(({ groups }) => groups.get(name)?.lag),
        inFlight: numbers(({ groups }) => groups.get(name)?.inFlight),
      },
    ])
    const total = {
      perSecond: numbers(({ totals }) => totals.get(tenant)?.perSecond),
      failed: numbers(({ totals }) => totals.get(tenant)?.failed),
      retries: numbers(({ totals }) => totals.get(tenant)?.retries),
    }
    return { everyMs: sampledEveryMs, from: first * sampledEveryMs, series: { ...Object.fromEntries(groups), total } }
  }
}
