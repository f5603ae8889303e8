import { useUrlState } from '../../shell/url-state.ts'
import { Feed } from '../../ui/feed.tsx'
import { TurnCard } from './turn-card.tsx'
import { missingText, type TaskView } from './use-task.ts'
import styles from './turns.module.css'

/** Each turn with its inputs, what it emitted, and what it changed. It opens at the newest one, or at the one in the URL. */
export function TurnsTab({ view }: { view: TaskView }) {
  const [{ turn }, change] = useUrlState()
  const { about, turns, isGone, want } = view
  const wanted = turn === undefined ? undefined : Math.min(about.total, Math.max(1, Number(turn) || 1))
  return (
    <Feed
      label="Turns"
      count={about.total}
      estimate={41}
      keyOf={index => index + 1}
      startAt={wanted === undefined ? undefined : wanted - 1}
      onRange={(first, last) => want(first, last + 1)}
    >
      {index => {
        const version = index + 1
        const found = turns.get(version)
        if (!found) return <div className={styles.missing}>{missingText(version, isGone)}</div>
        const before = turns.get(version - 1)
        return (
          <TurnCard
            about={about}
            turn={found}
            before={before}
            open={version === wanted}
            onOpen={open => change({ turn: open ? String(version) : '' }, true)}
          />
        )
      }}
    </Feed>
  )
}
