import { useQuery } from '@tanstack/react-query'
import type { EventDetails } from '../../api/shapes.ts'
import { TraceLink, useSource } from '../../api/source.tsx'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Id } from '../../ui/id.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { Tabs } from '../../ui/tabs.tsx'
import { Time } from '../../ui/time.tsx'
import { CopyMenu } from './copy-menu.tsx'
import { EventLine } from './event-line.tsx'
import { eventQuery } from './event-query.ts'
import { toneOfType } from './family.ts'
import { LiveText } from './live-text.tsx'
import { type EventTab, useOpenEvents } from './open-events.ts'
import { CallPayload } from './call-payload.tsx'
import { Why } from './why.tsx'
import styles from './inspector.module.css'

/** Events in full, beside a list: payload, cause and effects of each. */
export function Inspector({ ids, onClose }: { ids: readonly string[]; onClose: (id: string) => void }) {
  return (
    <aside className={styles.inspector} aria-label="Open events">
      {ids.toReversed().map(id => (
        <OpenEvent key={id} id={id} onClose={() => onClose(id)} />
      ))}
    </aside>
  )
}

function OpenEvent({ id, onClose }: { id: string; onClose: () => void }) {
  const { data, error, isPending, refetch } = useQuery(eventQuery(useSource(), id))
  const { tabOf, show } = useOpenEvents()
  return (
    <section className={styles.card} aria-label={`Event ${id}`}>
      <header className={styles.head}>
        <h2 style={{ color: data && `var(--${toneOfType(data.event.type)})` }}>{data?.event.type ?? 'Event'}</h2>
        <Id id={id} />
        <span className={styles.tools}>
          {data && <CopyMenu event={data.event} />}
          <Button look="quiet" icon aria-label="Close the event" onClick={onClose}>
            <Icon name="close" />
          </Button>
        </span>
      </header>
      {isPending && <Loading what="the event" />}
      {error && <Failure error={error} retry={() => void refetch()} />}
      {data?.event.type === 'model.invoke' && <LiveText call={id} />}
      {data && (
        <Tabs
          value={tabOf(id)}
          onChange={tab => show(id, tab as EventTab)}
          tabs={[
            { id: 'payload', label: 'Payload', content: <CallPayload details={data} /> },
            { id: 'attributes', label: 'Attributes', content: <Attributes details={data} /> },
            { id: 'why', label: 'Why', content: <Why id={id} /> },
            { id: 'effects', label: 'Effects', content: <Effects details={data} /> },
          ]}
        />
      )}
    </section>
  )
}

function Attributes({ details: { event, bytes } }: { details: EventDetails }) {
  const { toggle } = useOpenEvents()
  const { data: _, ...attributes } = event
  return (
    <dl className={styles.attributes}>
      {Object.entries(attributes).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {name === 'time' ? (
              <Time at={String(value)} />
            ) : name === 'correlationid' ? (
              <TraceLink correlation={String(value)} at={event.id}>
                {String(value)}
              </TraceLink>
            ) : name === 'causationid' || name === 'call' ? (
              <button type="button" className={styles.link} onClick={() => toggle(String(value))}>
                {String(value)}
              </button>
            ) : (
              String(value)
            )}
          </dd>
        </div>
      ))}
      <div>
        <dt>bytes</dt>
        <dd>{bytes.toLocaleString('en')}</dd>
      </div>
    </dl>
  )
}

/** The events that this one caused. */
function Effects({ details: { event } }: { details: EventDetails }) {
  const { toggle } = useOpenEvents()
  const source = useSource()
  const { data, error, isPending } = useQuery({
    queryKey: ['effects', source.id, event.id],
    queryFn: () => source.effects(event),
    networkMode: source.networkMode,
  })
  if (isPending) return <Loading what="effects" />
  if (error) return <Failure error={error} />
  if (data.length === 0) return <p className={styles.nothing}>Nothing was caused by this event.</p>
  return (
    <ul>
      {data.map(row => (
        <li key={row.id}>
          <button type="button" className={styles.effect} onClick={() => toggle(row.id)}>
            <EventLine row={row} />
          </button>
        </li>
      ))}
    </ul>
  )
}
