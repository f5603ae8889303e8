import type { Bus } from '../bus/bus.ts'
import { correlationFrom } from '../bus/ids.ts'
import { resolveEffects, startReplayRun, type Effectful } from '../replay/effects.ts'
import { declaredApps } from '../tasks/declared-apps.ts'
import type { Effect } from '../tasks/effects.ts'

const cacheMs = 30_000

interface MirrorRules {
  readonly strangler: string
  readonly candidate: string
  readonly effects?: Readonly<Record<string, Effect>> | undefined
  readonly stubs?: Readonly<Record<string, unknown>> | undefined
}

/** What is the `replay` of mirrored requests: its document says what their tools, models and steps may do. */
export class MirrorEffects {
  readonly #bus: Bus
  readonly #rules: MirrorRules
  #known: { readonly id: string; readonly at: number } | undefined

  constructor(bus: Bus, rules: MirrorRules) {
    this.#bus = bus
    this.#rules = rules
  }

  /** The id of the effect policy, which is stored when this resolves. It follows from the rules, so all processes use the same. @throws E_LOG_UNAVAILABLE */
  async id(): Promise<string> {
    if (this.#known && performance.now() - this.#known.at < cacheMs) return this.#known.id
    const { strangler, candidate, effects = {}, stubs = {} } = this.#rules
    const rules = { effects: new Map(Object.entries(effects)), stubs: new Map(Object.entries(stubs)) }
    const resolved = resolveEffects(await this.#members(candidate), rules)
    const id = correlationFrom(`mirror\0${strangler}\0${JSON.stringify(resolved)}`)
    if (this.#known?.id !== id)
      await startReplayRun(this.#bus, { kind: 'mirror', of: { strangler }, ...resolved }, { source: '/strangler', id })
    this.#known = { id, at: performance.now() }
    return id
  }

  /** The tools and models of the app that hosts the candidate, as its worker declared them. */
  async #members(candidate: string): Promise<Effectful[]> {
    const apps = await declaredApps(this.#bus)
    const host = apps.find(({ agents, workflows }) => [...agents, ...workflows].some(({ name }) => name === candidate))
    const tools = host?.tools ?? []
    const models = host?.models ?? []
    return [
      ...tools.map(({ name, readOnly, atMostOnce }) => ({ kind: 'tool', name, readOnly, atMostOnce }) as const),
      ...models.map(({ name }) => ({ kind: 'model', name, readOnly: true, atMostOnce: false }) as const),
    ]
  }
}
