import { pausedBy } from '../../../../src/bus/pauses.ts'
import type { Attention } from '../../api/attention.ts'
import type { OperationCommand } from '../../api/operations.ts'
import { isDelivery } from './attention-texts.ts'

type ListAction = 'retry' | 'release' | 'discard' | 'cancel'

/** What fits an entry, the most useful first. */
export function actionsFor(item: Attention): readonly ListAction[] {
  if (item.kind === 'failed') return ['retry', 'discard']
  // What is paused would be parked again.
  if (pauseOf(item)) return ['discard']
  if (isDelivery(item)) return ['release', 'discard']
  return ['cancel']
}

/** What is paused, if that is why the delivery is parked. */
export const pauseOf = (item: Attention) =>
  isDelivery(item) && item.key !== undefined ? pausedBy(item.key) : undefined

/** `TASK@TURN` to fork from, if the code no longer fits the recorded task. */
export function forkOf(item: Attention): { task: string; turn: number } | undefined {
  const from = isDelivery(item) ? item.reason.data?.fork : undefined
  const [, task, turn] = /^(.+)@(\d+)$/.exec(typeof from === 'string' ? from : '') ?? []
  return task === undefined ? undefined : { task, turn: Number(turn) }
}

/** The commands for one action on a selection: one with the ids, and one for each entry that stands for several. */
export function commandsFor(action: ListAction, items: readonly Attention[]): OperationCommand[] {
  const fitting = items.filter(item => actionsFor(item).includes(action))
  const single = fitting.filter(({ more }) => more === undefined).map(idOf)
  const groups = fitting.flatMap(item => (item.more === undefined ? [] : [groupCommand(action, item)]))
  if (single.length === 0) return groups
  return [single.length === 1 ? oneCommand(action, fitting, single[0]!) : { action, ids: single }, ...groups]
}

const idOf = (item: Attention): string => (isDelivery(item) ? item.id : item.task)

function oneCommand(action: ListAction, items: readonly Attention[], id: string): OperationCommand {
  const isTask = items.some(item => !isDelivery(item) && item.task === id)
  if (action === 'release') return { action, delivery: id }
  return action === 'discard' && !isTask ? { action, delivery: id } : { action, task: id }
}

/** Everything that the server shows as one entry with this one. */
function groupCommand(action: ListAction, item: Attention): OperationCommand {
  if (isDelivery(item)) {
    const { kind: state, key, group, reason } = item
    const deliveries = { state, code: reason.code, ...(key === undefined ? { group } : { key }) }
    return { action: action === 'release' ? 'release' : 'discard', deliveries }
  }
  const tasks = item.kind === 'failed' ? { agent: item.program, code: item.code } : {}
  return { action: action === 'retry' ? 'retry' : 'discard', tasks }
}
