import { randomBytes } from 'node:crypto'
import type { ClientCapabilities } from './request-scope.ts'

/*
 * Clients of the 2025 era say what they can once, in `initialize`. The id of their session repeats it in each request, so that no gateway has
 * to remember it: any of them, also after a restart, serves the next request. It grants nothing.
 *
 *     Mcp-Session-Id: BASE64URL({ id, elicitation?, … })
 */

interface SessionData extends ClientCapabilities {
  /** Tells the requests of two clients of one user apart. */
  readonly id: string
}

export function sessionIdOf({ elicitation }: ClientCapabilities): string {
  const data: SessionData = {
    id: randomBytes(12).toString('base64url'),
    ...(elicitation && { elicitation: modesOf(elicitation) }),
  }
  return Buffer.from(JSON.stringify(data)).toString('base64url')
}

/** What an id says; a client without one, or with one of another server, can do nothing special. */
export function sessionIn(id: string | null): ClientCapabilities {
  try {
    const data: unknown = JSON.parse(Buffer.from(id ?? '', 'base64url').toString())
    return typeof data === 'object' && data !== null ? data : {}
  } catch {
    return {}
  }
}

/** Clients may send more than they must. */
const modesOf = ({ form, url }: NonNullable<ClientCapabilities['elicitation']>) => ({
  ...(form !== undefined && { form: {} }),
  ...(url !== undefined && { url: {} }),
})
