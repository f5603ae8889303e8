import { expect, test } from 'vitest'
import { runConformance } from './conformance/run.ts'
import { revisions } from './conformance/suite.ts'

/* The conformance suite of MCP for servers, the fast part; `npm run mcp-conformance` runs all of it. */

test.each(revisions)(
  'the conformance suite passes for %s, but for what an app does not offer',
  { timeout: 240_000 },
  async revision => {
    const run = await runConformance(revision, ['--suite', 'active', '--spec-version', revision])
    expect(run.isAsExpected, run.output).toBe(true)
    expect(run.passed).toContain('tools-call-with-progress')
    expect(run.passed).toContain('dns-rebinding-protection')
  },
)
