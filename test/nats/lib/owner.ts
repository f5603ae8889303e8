import { Blobs } from '../../../src/drivers/nats/blobs.ts'
import type { LogConnection } from '../../../src/drivers/nats/connection.ts'
import { OwnedShard } from '../../../src/drivers/nats/owned-shard.ts'
import { NatsLog } from '../../../src/drivers/nats/nats-log.ts'
import { EventPublisher } from '../../../src/drivers/nats/publisher.ts'
import { RecentEvents } from '../../../src/drivers/nats/recent-events.ts'
import { TaskTombstones } from '../../../src/drivers/nats/task-tombstones.ts'
import type { Stream } from '../../../src/drivers/nats/stream.ts'
import { Turns } from '../../../src/drivers/nats/turns.ts'

export const group = 'tasks'

/** The owner of one shard, as far as it concerns its timers. `dead`: its requests are not made any more. */
export interface Owner {
  readonly owned: OwnedShard
  readonly turns: Turns
  readonly log: NatsLog
  /** Wake-ups that it was told to arrange. */
  readonly armed: { task: string; wake: number | null }[]
  dead: boolean
}

interface Options {
  /** Awaited before each request: its stream, `events` or `state`, and its method. */
  step?: (what: string) => Promise<void>
  completeFrom?: number
  /** It is killed after this many messages of the log. */
  diesAfter?: number
}

const generators = new Set(['scan', 'scanHeaders', 'newestHeaders'])

/** The real state machine of an owner of shard 0. */
export function owner(
  connection: LogConnection,
  log: NatsLog,
  { step, completeFrom = 0, diesAfter = Infinity }: Options = {},
): Owner {
  const armed: Owner['armed'] = []
  const state = { dead: false, armed }
  let messages = 0
  const before = async (what: string) => {
    await step?.(what)
    if (state.dead) throw new Error(`killed before ${what}`)
  }
  const stepwise = (stream: Stream, kind: string) =>
    new Proxy(stream, {
      get(target, name) {
        const method = target[name as keyof Stream] as unknown
        if (typeof method !== 'function') return method
        const call = (...args: unknown[]) => Reflect.apply(method, target, args) as unknown
        const what = `${kind}.${String(name)}`
        if (!generators.has(String(name)))
          return async (...args: unknown[]) => {
            await before(what)
            return call(...args)
          }
        return async function* (...args: unknown[]) {
          await before(what)
          for await (const message of call(...args) as AsyncGenerator) {
            if (kind === 'events' && ++messages > diesAfter) state.dead = true
            if (state.dead) throw new Error(`killed during ${what}`)
            yield message
          }
        }
      },
    })
  const { names, identities, replicas, blobs } = log
  const mine = new NatsLog({
    names,
    identities,
    replicas,
    blobs,
    partitions: log.partitions.map(stream => stepwise(stream, 'events')),
    state: stepwise(log.state, 'state'),
  })
  const turns = new Turns({
    connection,
    log: mine,
    blobs: new Blobs(connection, names, blobs),
    tombstones: new TaskTombstones(connection, mine),
    publisher: new EventPublisher(connection, mine, new RecentEvents()),
  })
  const owned = new OwnedShard({
    log: mine,
    group,
    shard: 0,
    completeFrom,
    onWake: (task, { wake }) => armed.push({ task, wake }),
  })
  return Object.assign(state, { turns, log: mine, owned })
}
