import type { Bus } from '../bus/bus.ts'
import { environment, openBus } from './environment.ts'
import { LiveIndex } from '../trace/index/live.ts'
import { indexFile } from './log-index.ts'
import { openLogClient, type LogClient } from './log-client.ts'

/** A log that this process uses without hosting anything. */
export interface ClientConnection extends LogClient {
  readonly bus: Bus
  /** Closes the log, which keeps the process alive until then. Results that are still awaited reject with E_BUS_CLOSED; their tasks go on. */
  close(): Promise<void>
}

/**
 * Connects to a log without hosting anything: a web server, a script or a test asks the agents that other processes host. `bus`: the
 * address of the log, default TIDINGS_BUS; `home`: the data folder of an embedded one, default TIDINGS_HOME.
 * @throws E_BUS_UNKNOWN, E_BUS_DENIED, E_LOG_UNAVAILABLE
 * @example
 * await using tidings = await connect('nats://localhost:4222/shop') // closes at the end of the block
 * const handle = await tidings.ask('helper', 'When is the shop open?')
 * console.log(await handle.result({ within: '2m' }))
 */
export async function connect(address?: string, { home }: { home?: string } = {}): Promise<ClientConnection> {
  const settings = environment()
  const place = { bus: address ?? settings.bus, home: home ?? settings.home }
  const bus = await openBus({ ...settings, ...place })
  const { policy, failedFor } = settings
  const index = new LiveIndex(bus, { file: indexFile(place) })
  const client = openLogClient(bus, policy, { index, failedFor })
  const close = async () => {
    await client.stop()
    await index.close()
    await bus.close()
  }
  return { bus, ...client.members, close, [Symbol.asyncDispose]: close }
}
