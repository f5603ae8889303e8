import { records } from '../trace/records.ts'
import { render } from '../trace/render.ts'
import { dim } from '../trace/text.ts'
import { traceOf } from '../trace/trace.ts'
import { terminalWidth } from './event-line.ts'
import { findCorrelation, withExistingLog } from './log.ts'
import { say, type Globals } from './out.ts'

/** `tidings trace CORRELATION` */
export async function trace(which: string, { json }: Globals): Promise<void> {
  const { correlation, found } = await withExistingLog(async bus => {
    const correlation = await findCorrelation(bus, which)
    return { correlation, found: await traceOf(bus, correlation) }
  })
  if (json) for (const record of records(found)) await say(JSON.stringify(record))
  else for (const line of [dim(`correlation ${correlation}`), ...render(found, terminalWidth())]) await say(line)
}
