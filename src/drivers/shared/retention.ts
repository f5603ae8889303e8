/** Who needs a partition from an offset on. `heldBy`: for people, such as `task …` or `group …`. */
export interface LogHolder {
  readonly offset: number
  readonly heldBy: string
}

/** What decides how much of a partition may be purged. */
export interface HorizonInput {
  readonly head: number
  /** The first offset whose event is younger than the retention age. */
  readonly young: number
  readonly maxLag: number
  /** Live tasks: always hold. */
  readonly tasks: readonly LogHolder[]
  /** The first unsettled offset of each group. */
  readonly groups: readonly LogHolder[]
}

/** The first offset that must stay. `heldBy`: what needs it, for people. */
export interface RetentionHorizon {
  readonly horizon: number
  readonly heldBy: string
}

/** Where a purge of a partition ends: events before the horizon may go. A group beyond `maxLag` is reported and no longer holds the log back. */
export function retentionHorizon({ head, young, maxLag, tasks, groups }: HorizonInput): RetentionHorizon {
  const reports: string[] = []
  let first: LogHolder = { offset: young, heldBy: 'age' }
  const hold = (holder: LogHolder) => {
    if (holder.offset < first.offset) first = holder
  }
  tasks.forEach(hold)
  for (const group of groups) {
    const lag = head + 1 - group.offset
    if (lag <= maxLag) hold(group)
    else if (group.offset < young)
      reports.push(`${group.heldBy} no longer holds the log back: it is ${lag} events behind`)
  }
  return { horizon: first.offset, heldBy: [first.heldBy, ...reports].join('; ') }
}
