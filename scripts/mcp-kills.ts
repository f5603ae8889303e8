import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { oneNats } from '../test/kills/broker.ts'
import { killsOver } from '../test/mcp/kills/kills.ts'

/*
 * `npm run mcp-kills`: three tools of an MCP server that each take ten minutes, and two kills of worker and server while they run.
 * `npm run mcp-kills -- --bus nats --minutes 1` takes a tenth of the time, on NATS. Exit code 1 if a call was lost, or ran when it must not.
 */

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, bus: { type: 'string', default: 'sqlite' } },
})
if (values.bus !== 'sqlite' && values.bus !== 'nats')
  throw new Error(`unknown bus "${values.bus}": expected sqlite or nats`)
const folder = mkdtempSync(join(tmpdir(), 'tidings-mcp-kills-'))
const since = performance.now()
const say = (line: string) => console.log(`${((performance.now() - since) / 60_000).toFixed(1)} min: ${line}`)
const broker = values.bus === 'nats' ? await oneNats(1) : undefined
try {
  const bus = broker?.address('mcp-kills') ?? 'sqlite'
  const report = await killsOver({ folder, bus, toolMs: Number(values.minutes) * 60_000, say })
  const { outcomes, starts, unknownAfterMs } = report
  console.log(JSON.stringify(report, undefined, 2))
  const isHeld =
    outcomes.slow === 'slow is done' &&
    outcomes.report === 'report is done' &&
    outcomes.book === 'E_TOOL_OUTCOME_UNKNOWN' &&
    starts.report === 1 &&
    starts.book === 1 &&
    unknownAfterMs < 10_000
  console.log(isHeld ? 'held' : 'NOT HELD')
  if (!isHeld) process.exitCode = 1
} finally {
  await broker?.stop()
  rmSync(folder, { recursive: true, force: true })
}
