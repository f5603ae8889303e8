import { renderWhy } from '../trace/render-why.ts'
import { whyOf } from '../trace/why.ts'
import { terminalWidth } from './event-line.ts'
import { ask, withExistingLog } from './log.ts'
import { say, type Globals } from './out.ts'

/** `tidings why EVENT` */
export async function why(event: string, { json }: Globals): Promise<void> {
  const found = await withExistingLog(bus => ask(bus, index => whyOf(bus, index, index.event(event))))
  if (!json) return say(renderWhy(found, terminalWidth()).join('\n'))
  for (const reason of found.reasons) await say(JSON.stringify(reason))
  if (found.lost !== undefined) await say(JSON.stringify({ lost: found.lost }))
}
