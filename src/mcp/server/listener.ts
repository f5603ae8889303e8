import type { ServerContext } from '@modelcontextprotocol/server'
import type { StreamPart } from '../../ask/parts.ts'
import { ProgressReports } from './progress.ts'
import type { RequestScope } from './request-scope.ts'

const levelKey = 'io.modelcontextprotocol/logLevel'
/** Of what tools report. Clients that ask for graver messages only get none. */
const level = 'info'
const levelsBelow: ReadonlySet<unknown> = new Set(['debug', 'info'])

/**
 * Tells a client what happens while it waits: as progress if it gave a token, and what tools report as log messages if it set a level. Undefined if it
 * wants neither.
 */
export async function listenerOf(
  { era, logLevel }: RequestScope,
  { mcpReq }: ServerContext,
): Promise<((part: StreamPart) => void) | undefined> {
  const progressToken = mcpReq._meta?.progressToken
  // The client may have gone; the call notices that by its signal.
  const notify = (method: string, params: Record<string, unknown>) => void mcpReq.notify({ method, params }).catch(() => {}) // biome-ignore format: one line
  const reports =
    progressToken === undefined
      ? undefined
      : new ProgressReports(report => notify('notifications/progress', { progressToken, ...report }))
  const wanted = era === 'modern' ? (mcpReq.envelope as Record<string, unknown> | undefined)?.[levelKey] : await logLevel.read() // biome-ignore format: one line
  const isLogged = levelsBelow.has(wanted)
  if (!reports && !isLogged) return undefined
  return part => {
    reports?.add(part)
    if (isLogged && part.type === 'progress') notify('notifications/message', { level, logger: part.name, data: part.data }) // biome-ignore format: one line
  }
}
