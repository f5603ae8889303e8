import type { Position, PurgeResult } from '../../bus/driver.ts'

/** Who needs the log from a position on. `heldBy`: for people, such as `task …` or `group …`. */
export interface LogHolder {
  readonly position: Position
  readonly heldBy: string
}

export interface HorizonInput {
  readonly head: Position
  /** The first position whose event is younger than the retention age. */
  readonly young: Position
  readonly maxLag: number
  /** Live tasks: always hold. */
  readonly tasks: readonly LogHolder[]
  /** The first unsettled position of each group. */
  readonly groups: readonly LogHolder[]
}

/** Where a purge ends: events before the horizon may go. A group beyond `maxLag` is reported and no longer holds the log back. */
export function retentionHorizon({ head, young, maxLag, tasks, groups }: HorizonInput): Omit<PurgeResult, 'events'> {
  const reports: string[] = []
  let first: LogHolder = { position: young, heldBy: 'age' }
  const hold = (holder: LogHolder) => {
    if (holder.position < first.position) first = holder
  }
  tasks.forEach(hold)
  for (const group of groups) {
    const lag = head + 1 - group.position
    if (lag <= maxLag) hold(group)
    else if (group.position < young)
      reports.push(`${group.heldBy} no longer holds the log back: it is ${lag} events behind`)
  }
  return { horizon: first.position, heldBy: [first.heldBy, ...reports].join('; ') }
}
