import type { ServerContext } from '@modelcontextprotocol/server'
import type { SharedKey } from '../../bus/shared-key.ts'
import { loadServerSdk } from '../load-sdk.ts'
import type { McpCaller } from './caller.ts'
import type { ShownForm } from './elicitation.ts'
import { invalidRequest } from './protocol-errors.ts'

/** What a client of 2026-07-28 brings back with its answers to forms. */
export interface CallState {
  readonly task: string
  /** Forms that the person dismissed, which are not shown again. */
  readonly dismissed: readonly string[]
  /** The forms of this round, by their keys. */
  readonly forms: Readonly<Record<string, ShownForm>>
}

/** How long a form may take. */
const ttlSeconds = 24 * 3_600

async function codecFor({ tenant, user }: McpCaller, key: SharedKey) {
  const { createRequestStateCodec } = await loadServerSdk()
  const bind = () => JSON.stringify([tenant, user ?? null])
  return createRequestStateCodec<CallState>({ key: await key.get(), ttlSeconds, bind })
}

/** The state as a text, which only this caller can bring back. */
export const signState = async (state: CallState, caller: McpCaller, key: SharedKey, ctx: ServerContext) =>
  (await codecFor(caller, key)).mint(state, ctx)

/** The state that a client brings back; undefined in its first call. @throws E_REQUEST_INVALID */
export async function stateIn(ctx: ServerContext, caller: McpCaller, key: SharedKey): Promise<CallState | undefined> {
  const given = ctx.mcpReq.requestState<string>()
  if (given === undefined) return undefined
  try {
    return await (await codecFor(caller, key)).verify(given, ctx)
  } catch {
    throw invalidRequest(
      'the requestState is not one of this server, or is older than a day',
      'Call the tool again without it.',
    )
  }
}
