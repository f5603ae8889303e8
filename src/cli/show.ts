import { renderEvent, renderTask, renderTurn } from '../trace/render-whole.ts'
import { wholeEvent, wholeTask } from '../trace/whole.ts'
import { ask, withExistingLog } from './log.ts'
import { answer, type Globals } from './out.ts'

/** `tidings show EVENT|TASK` */
export async function show(text: string, options: Globals): Promise<void> {
  const found = await withExistingLog(async bus => {
    const meant = await ask(bus, index => index.taskOrEvent(text))
    return 'task' in meant ? wholeTask(bus, meant.task) : wholeEvent(bus, meant.event)
  })
  const lines =
    found.kind === 'task' ? renderTask(found) : found.kind === 'turn' ? renderTurn(found) : renderEvent(found)
  await answer(options, found, lines)
}
