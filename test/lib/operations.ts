import { agent } from '../../src/agents/agent.ts'
import { parseId } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { OperationView } from '../../src/gateway/commands/operations.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { collect } from '../../src/testing/wait.ts'
import { desk } from './retry.ts'

/* What tests of operators' commands share. */

export const shop = desk('shop')
export const buyer = agent('buyer', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(shop.tool, what) })

interface Answer extends OperationView {
  readonly error?: OperationView['error'] & { readonly code: string }
}

/** Sends a request to the gateway of a worker. `secret`: an API key. */
export async function send(running: RunningApp, method: string, path: string, body?: unknown, secret?: string) {
  const response = await running.fetch(
    new Request(`http://shop.example${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(secret !== undefined && { authorization: `Bearer ${secret}` }),
        prefer: 'wait=50',
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  )
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer }
}

export const operate = (running: RunningApp, body: unknown, secret?: string) =>
  send(running, 'POST', '/operations', body, secret)

export async function all({ bus }: Pick<RunningApp, 'bus'>, type: string): Promise<CloudEvent[]> {
  return (await collect(bus.read({ filter: [{ types: [type] }] }))).map(({ event }) => event)
}

export const taskIn = (event: CloudEvent) => parseId(event.id)!.task
