import { renderEvent, renderTask, renderTurn } from '../trace/render-details.ts'
import { readEventDetails, readTaskDetails } from '../trace/details.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { printResult, type GlobalOptions } from './output.ts'

export async function showCommand(text: string, options: GlobalOptions): Promise<void> {
  const found = await withExistingLog(async bus => {
    const meant = await queryIndex(bus, index => index.taskOrEvent(text))
    return 'task' in meant ? readTaskDetails(bus, meant.task) : readEventDetails(bus, meant.event)
  })
  const lines =
    found.kind === 'task' ? renderTask(found) : found.kind === 'turn' ? renderTurn(found) : renderEvent(found)
  await printResult(options, found, lines)
}
