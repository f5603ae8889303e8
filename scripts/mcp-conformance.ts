import { runConformance } from '../test/mcp/conformance/run.ts'
import { revisions } from '../test/mcp/conformance/suite.ts'

/*
 * Runs the MCP conformance suite for servers against an app, for both eras: `npm run mcp-conformance`. Fails on a scenario that fails and is not in
 * test/mcp/conformance/expected-REVISION.yml, and on one that is there and passes.
 */

for (const revision of revisions) {
  const { checks, passed, notApplicable, isAsExpected, output } = await runConformance(revision, [
    '--requirements',
    revision,
  ])
  if (!isAsExpected) console.log(output)
  console.log(
    `${revision}: ${passed.length} scenarios passed, ${notApplicable.length} not applicable in whole or in part; ${checks.passed} checks passed, ${checks.notApplicable} not applicable`,
  )
  console.log(`  passed: ${passed.join(', ')}`)
  console.log(`  not applicable: ${notApplicable.join(', ')}`)
  if (!isAsExpected) process.exitCode = 1
}
