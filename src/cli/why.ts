import type { Position } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import type { Index } from '../trace/index/lookup.ts'
import { renderWhy } from '../trace/render-why.ts'
import { whyOf, type Why } from '../trace/why.ts'
import { terminalWidth } from './event-line.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { print, type GlobalOptions } from './output.ts'

export async function whyCommand(id: string, { json }: GlobalOptions): Promise<void> {
  const found = await withExistingLog(bus => queryIndex(bus, index => whyOf(bus, index, findPosition(index, id))))
  if (!json) return print(renderWhy(found, terminalWidth()).join('\n'))
  for (const record of records(found)) await print(JSON.stringify(record))
}

/** The position of the event, or of the last event of a task. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
function findPosition(index: Index, id: string): Position {
  const found = index.taskOrEvent(id)
  const position = 'task' in found ? index.newestOf(found.task) : found.event
  if (position === undefined) throw new TidingsError('E_NOT_FOUND', `task "${id}" is not on the log`)
  return position
}

/** The tree as flat objects, in drawing order. `causeOf` names the effect. */
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
