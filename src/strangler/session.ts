import { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import { Candidate } from './candidate.ts'
import { declareStrangler } from './control.ts'
import { DocumentFollower } from './document-follower.ts'
import { MirrorEffects } from './mirror-effects.ts'
import type { HasLog, StranglerSettings } from './options.ts'
import { RollbackWatch } from './rollback-watch.ts'

/** What a strangler needs of a log that it has reached. */
export class StranglerSession {
  readonly bus: Bus
  readonly follower: DocumentFollower
  readonly candidate: Candidate
  readonly effects: MirrorEffects
  readonly #client: Client
  #watch: RollbackWatch | undefined

  private constructor(bus: Bus, settings: StranglerSettings<never, unknown>, follower: DocumentFollower) {
    const { name, candidate, withinMs, effects, stubs } = settings
    this.bus = bus
    this.follower = follower
    this.#client = new Client(bus)
    this.candidate = new Candidate(this.#client, { strangler: name, name: candidate, withinMs })
    this.effects = new MirrorEffects(bus, { strangler: name, candidate, effects, stubs })
  }

  /** @throws E_LOG_UNAVAILABLE */
  static async open({ bus }: HasLog, settings: StranglerSettings<never, unknown>): Promise<StranglerSession> {
    const { name, candidate, criteria } = settings
    const document = await declareStrangler(bus, name, { candidate, ...(criteria && { rollback: criteria }) })
    const session = new StranglerSession(bus, settings, new DocumentFollower(bus, name, document))
    if (criteria) {
      session.#watch = new RollbackWatch({ bus, name, criteria, follower: session.follower })
      await session.#watch.start()
    }
    session.follower.start()
    return session
  }

  close(): void {
    this.follower.stop()
    this.#watch?.stop()
    this.#client.close()
  }
}
