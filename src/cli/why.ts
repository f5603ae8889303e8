import { styleText } from 'node:util'
import type { Position } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import { findUnhosted } from '../trace/attention/unhosted.ts'
import type { Index } from '../trace/index/lookup.ts'
import { renderWhy } from '../trace/render-why.ts'
import { whyOf } from '../trace/why.ts'
import { whyRecords } from '../trace/why-records.ts'
import { printable } from '../trace/text.ts'
import { terminalWidth } from './event-line.ts'
import { queryIndex, queryIndexOf, withExistingLog } from './log.ts'
import { print, type GlobalOptions } from './output.ts'

export async function whyCommand(id: string, { json }: GlobalOptions): Promise<void> {
  const { found, unhosted } = await withExistingLog(async bus => {
    const { task, why } = await queryIndex(bus, async index => {
      const { task, position } = find(index, id)
      return { task, why: await whyOf(bus, index, position) }
    })
    return { found: why, unhosted: task === undefined ? [] : await findUnhosted(bus, queryIndexOf(bus), { task }) }
  })
  if (!json) {
    const waits = unhosted.map(({ reason }) => `${styleText('yellow', '!')} ${printable(reason)}`)
    return print([...renderWhy(found, terminalWidth()), ...waits].join('\n'))
  }
  for (const record of [...whyRecords(found), ...unhosted]) await print(JSON.stringify(record))
}

/** The position of the event, or of the last event of a task, with the task. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
function find(index: Index, id: string): { position: Position; task?: string } {
  const found = index.taskOrEvent(id)
  const position = 'task' in found ? index.newestOf(found.task) : found.event
  if (position === undefined) throw new TidingsError('E_NOT_FOUND', `task "${id}" is not on the log`)
  return 'task' in found ? { position, task: found.task } : { position }
}
