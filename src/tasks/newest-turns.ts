import type { Bus } from '../bus/bus.ts'
import { parseId } from '../bus/ids.ts'
import type { Turn } from './program.ts'

/** The newest turn of each task of a correlation, including tasks that ended, by task id. */
export async function readNewestTurns(bus: Bus, correlation: string): Promise<Map<string, Turn>> {
  const turns = new Map<string, Turn>()
  for (const event of await bus.newestTurns(correlation))
    turns.set(parseId(event.id)!.task, (await bus.resolve(event)).data as Turn)
  return turns
}
