import { expect, it } from 'vitest'
import { scratch } from '../client/lib/pinned.ts'
import { killsOver } from './kills.ts'

/* The short form of `npm run mcp-kills`. */

it('calls of MCP tools go through two restarts of everything', { timeout: 120_000 }, async () => {
  const { outcomes, starts, unknownAfterMs } = await killsOver({ folder: scratch(), toolMs: 3_000 })
  expect(outcomes).toEqual({ slow: 'slow is done', report: 'report is done', book: 'E_TOOL_OUTCOME_UNKNOWN' })
  expect(starts).toEqual({ slow: 3, report: 1, book: 1 })
  // Ten seconds on a machine that does nothing else.
  expect(unknownAfterMs).toBeLessThan(60_000)
})
