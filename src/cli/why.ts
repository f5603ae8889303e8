import { renderWhy } from '../trace/render-why.ts'
import { whyOf, type Why } from '../trace/why.ts'
import { terminalWidth } from './event-line.ts'
import { ask, withExistingLog } from './log.ts'
import { say, type Globals } from './out.ts'

/** `tidings why EVENT` */
export async function why(event: string, { json }: Globals): Promise<void> {
  const found = await withExistingLog(bus => ask(bus, index => whyOf(bus, index, index.event(event))))
  if (!json) return say(renderWhy(found, terminalWidth()).join('\n'))
  for (const record of records(found)) await say(JSON.stringify(record))
}

/** The tree as flat objects, in the order in which it is drawn. Each but the first says what it is a cause of. */
function* records({ reasons, rest }: Why, caused?: string): Generator<object> {
  let causeOf = caused
  for (const { also = [], more, ...reason } of reasons) {
    yield { ...reason, ...(causeOf !== undefined && { causeOf }) }
    causeOf = reason.event.id
    for (const other of also) yield* records(other, causeOf)
    if (more !== undefined) yield { more, causeOf }
  }
  if (rest) yield { [rest.is]: rest.id, causeOf }
}
