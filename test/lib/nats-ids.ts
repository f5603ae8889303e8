import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { natsUrl } from './nats.ts'

/** The shortest time that the server can be told to remember ids. */
const shortestMs = 100

/**
 * Lets the server remember the ids of a log, in all of its partitions, for `ms` from now on.
 *
 * The server restarts its timer before it stores the new window, so the purge often still sees the old one and comes again only after two
 * minutes. The second update restarts it when the first window is stored.
 */
export async function rememberIdsFor(log: string, ms = shortestMs): Promise<void> {
  const nc = await connect({ servers: natsUrl() })
  try {
    const { streams } = await jetstreamManager(nc)
    for await (const name of streams.names())
      if (name === log || (name.startsWith(`${log}_`) && /_\d+$/.test(name)))
        for (const window of [ms + 1, ms]) await streams.update(name, { duplicate_window: window * 1_000_000 })
  } finally {
    await nc.close()
  }
}
