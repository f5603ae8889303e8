import { ApprovalClient } from '../ask/approval-client.ts'
import { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import type { ViewOptions } from '../gateway/context.ts'
import { lazyWebHandler, type WebHandlers } from './web.ts'

/**
 * What a program does with a log, whether or not its process hosts anything: ask, publish, answer people, serve HTTP. `await using` stops the app or closes the
 * connection at the end of the block.
 */
export interface LogClient
  extends Pick<Client, 'ask' | 'handle' | 'publish'>,
    Pick<ApprovalClient, 'approvals' | 'approve' | 'deny'>,
    WebHandlers,
    AsyncDisposable {}

/** `policy`: path of the policy file, for requests over HTTP. `views`: for what they show of the log. */
export function openLogClient(bus: Bus, policy: string | undefined, views: ViewOptions) {
  const client = new Client(bus)
  const people = new ApprovalClient(bus)
  const web = lazyWebHandler(bus, policy, views)
  const members: Omit<LogClient, keyof AsyncDisposable> = {
    ask: client.ask,
    handle: client.handle,
    publish: client.publish,
    approvals: people.approvals,
    approve: people.approve,
    deny: people.deny,
    fetch: web.fetch,
    fetchAs: web.fetchAs,
  }
  return {
    members,
    async stop(): Promise<void> {
      await web.stop()
      client.close()
    },
  }
}
