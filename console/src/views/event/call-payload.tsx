import { useQuery } from '@tanstack/react-query'
import { useContext } from 'react'
import { between, workTime } from '../../../../src/trace/outcome.ts'
import type { EventDetails } from '../../api/shapes.ts'
import { useSource } from '../../api/source.tsx'
import { durationText } from '../../ui/format.ts'
import { eventQuery } from './event-query.ts'
import { toneOfType } from './family.ts'
import { CallNewsContext } from './live-text.tsx'
import { useOpenEvents } from './open-events.ts'
import { Payload } from './payload.tsx'
import styles from './payload.module.css'

/** The data of an event; of a call in an open trace also that of its answer. */
export function CallPayload({ details }: { details: EventDetails }) {
  const answer = useContext(CallNewsContext).answerOf(details.event.id)
  if (answer === undefined || answer === details.event.id) return <Payload details={details} />
  return (
    <div className={styles.call}>
      <Payload details={details} />
      <Answer id={answer} request={details} />
    </div>
  )
}

function Answer({ id, request }: { id: string; request: EventDetails }) {
  const { data } = useQuery(eventQuery(useSource(), id))
  const { open, toggle } = useOpenEvents()
  if (!data) return null
  const { type } = data.event
  const ranMs = workTime(data.event)
  return (
    <section aria-label="Answer">
      <h3 className={styles.answered}>
        <button
          type="button"
          style={{ color: `var(--${toneOfType(type)})` }}
          title={open.includes(id) ? 'This event is open' : 'Open the answer'}
          onClick={() => !open.includes(id) && toggle(id)}
        >
          {type}
        </button>
        {durationText(between(request.event, data.event))} later
        {ranMs !== undefined && `, after a worker had it for ${durationText(ranMs)}`}
      </h3>
      <Payload details={data} />
    </section>
  )
}
