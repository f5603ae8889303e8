import { setTimeout } from 'node:timers/promises'
import type { Commit, Driver } from '../../bus/driver.ts'
import { openWithTurns, type NatsDriverOptions } from '../../drivers/nats/open.ts'
import type { Message, Stream } from '../../drivers/nats/stream.ts'
import { Turns, type TurnsContext } from '../../drivers/nats/turns.ts'

/** Which guarantees a log on NATS does not have. */
export interface NatsFaults {
  /** Turns are accepted even if they expect another version. */
  readonly dropFence?: boolean
  /** The events of a turn whose writer died are never published. */
  readonly dropRepair?: boolean
  /** Time between a turn and its events, in ms, so that a writer is more likely to die there. */
  readonly gapMs?: number
}

/** Opens a log without some of its guarantees, to prove that a test detects it. */
export const openFaultyNats = (options: NatsDriverOptions, faults: NatsFaults): Promise<Driver> =>
  openWithTurns(options, context => new FaultyTurns(context, faults))

class FaultyTurns extends Turns {
  readonly #faults: NatsFaults

  constructor(context: TurnsContext, faults: NatsFaults) {
    super(context)
    this.#faults = faults
  }

  override async complete(...args: Parameters<Turns['complete']>): Promise<void> {
    if (!this.#faults.dropRepair) await super.complete(...args)
  }

  protected override async storeAfter(stream: Stream, seq: number, message: Message): Promise<number | undefined> {
    if (!this.#faults.dropFence) return super.storeAfter(stream, seq, message)
    return (await stream.append(message.subject, message.body, message.headers)).seq
  }

  protected override async publishEvents(events: Commit['events'], givesUp: () => boolean): Promise<void> {
    if (this.#faults.gapMs) await setTimeout(this.#faults.gapMs)
    await super.publishEvents(events, givesUp)
  }
}
