import { renderEvent, renderTask, renderTurn } from '../trace/render-details.ts'
import { readEventDetails, readTaskDetails } from '../trace/details.ts'
import { awaitedTypes } from '../workflows/awaited.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { printResult, type GlobalOptions } from './output.ts'

export async function showCommand(text: string, options: GlobalOptions): Promise<void> {
  const found = await withExistingLog(async bus => {
    const meant = await queryIndex(bus, index => index.taskOrEvent(text))
    if (!('task' in meant)) return readEventDetails(bus, meant.event)
    const task = await readTaskDetails(bus, meant.task)
    const awaits = task.waitsFor.length === 0 ? [] : await awaitedTypes(bus, task.turns.at(-1)!)
    return awaits.length > 0 ? { ...task, awaits } : task
  })
  const lines =
    found.kind === 'task' ? renderTask(found) : found.kind === 'turn' ? renderTurn(found) : renderEvent(found)
  await printResult(options, found, lines)
}
