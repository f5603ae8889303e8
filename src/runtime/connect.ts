import { ApprovalClient } from '../ask/approval-client.ts'
import { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import { environment, openBus } from './environment.ts'
import { lazyWebHandler, type WebHandlers } from './web.ts'

/** A log that this process uses without hosting anything. */
export interface ClientConnection
  extends Pick<Client, 'ask' | 'handle' | 'publish'>,
    Pick<ApprovalClient, 'approvals' | 'approve' | 'deny'>,
    WebHandlers {
  readonly bus: Bus
  /** Closes the log. Results that are still awaited reject with E_BUS_CLOSED; their tasks go on. */
  close(): Promise<void>
}

/**
 * Connects to a log without hosting anything: a web server, a script or a test asks the agents that other processes host. `bus`: the
 * address of the log, default TIDINGS_BUS; `home`: the data folder of an embedded one, default TIDINGS_HOME.
 * @throws E_BUS_UNKNOWN, E_BUS_DENIED, E_LOG_UNAVAILABLE
 * @example
 * const tidings = await connect('nats://localhost:4222/shop')
 * const handle = await tidings.ask('helper', 'When is the shop open?')
 * console.log(await handle.result({ within: '2m' }))
 * await tidings.close()
 */
export async function connect(address?: string, { home }: { home?: string } = {}): Promise<ClientConnection> {
  const settings = environment()
  const bus = await openBus({ bus: address ?? settings.bus, home: home ?? settings.home })
  const client = new Client(bus)
  const people = new ApprovalClient(bus)
  const web = lazyWebHandler(bus, settings.policy)
  return {
    bus,
    ask: client.ask,
    handle: client.handle,
    publish: client.publish,
    approvals: people.approvals,
    approve: people.approve,
    deny: people.deny,
    fetch: web.fetch,
    fetchAs: web.fetchAs,
    async close() {
      await web.stop()
      client.close()
      await bus.close()
    },
  }
}
