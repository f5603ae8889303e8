import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId } from '../bus/ids.ts'
import type { Turn } from './program.ts'

/**
 * The newest task of a `continueAs` chain, which may have no turn yet. Undefined if the chain has ended, or if there is none. The first
 * tasks of a long chain may be purged.
 */
export async function latestSuccessor(bus: Bus, task: string): Promise<string | undefined> {
  const turns = new Map<string, Turn>()
  for (const event of await bus.newestTurns(correlationOf(task)))
    turns.set(parseId(event.id)!.task, (await bus.resolve(event)).data as Turn)
  let newest = turns.has(task)
    ? task
    : [...turns].find(([, turn]) => turn.continues === task && isUnfinished(turn))?.[0]
  if (newest === undefined) return undefined
  for (let turn = turns.get(newest); turn?.successor !== undefined; turn = turns.get(newest)) newest = turn.successor
  const last = turns.get(newest)
  return newest !== task && (!last || isUnfinished(last)) ? newest : undefined
}

const isUnfinished = ({ end }: Turn) => end === undefined || end === 'continued'
