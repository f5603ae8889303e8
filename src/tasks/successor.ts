import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId } from '../bus/ids.ts'
import type { Turn } from './program.ts'

/**
 * The task as which another one goes on by `continueAs`, now: the last of the chain, which may have no turn yet.
 * Undefined when the chain has ended, or never was one. The first tasks of a long chain may be gone from the log.
 */
export async function latestSuccessor(bus: Bus, task: string): Promise<string | undefined> {
  const turns = new Map<string, Turn>()
  for (const event of await bus.newestTurns(correlationOf(task)))
    turns.set(parseId(event.id)!.task, (await bus.resolve(event)).data as Turn)
  let heir = turns.has(task) ? task : [...turns].find(([, turn]) => turn.continues === task && isUnfinished(turn))?.[0]
  if (heir === undefined) return undefined
  for (let turn = turns.get(heir); turn?.successor !== undefined; turn = turns.get(heir)) heir = turn.successor
  const last = turns.get(heir)
  return heir !== task && (!last || isUnfinished(last)) ? heir : undefined
}

const isUnfinished = ({ end }: Turn) => end === undefined || end === 'continued'
