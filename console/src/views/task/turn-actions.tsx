import type { TurnDetails } from '../../../../src/trace/details.ts'
import type { TaskTurns } from '../../api/task-shapes.ts'
import { ForkButton } from '../operations/fork-button.tsx'

/** What a person can do with one turn of a task. */
export const TurnActions = ({ about, turn }: { about: TaskTurns; turn: TurnDetails }) => (
  <ForkButton task={about.task} turn={turn.version} />
)
