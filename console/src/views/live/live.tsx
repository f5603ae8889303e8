import { useQuery } from '@tanstack/react-query'
import { useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { infoQuery } from '../../api/queries.ts'
import { Page } from '../../shell/page.tsx'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { useUrlState } from '../../shell/url-state.ts'
import { Dot } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { FilterField } from '../../ui/field.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { ListJump } from '../../ui/list-jump.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { Time } from '../../ui/time.tsx'
import { EventRows, eventRowHeight } from '../event/event-rows.tsx'
import { Inspector } from '../event/inspector.tsx'
import { useOpenEvents } from '../event/open-events.ts'
import { LiveRows, type LiveFilter } from './live-rows.ts'
import { PublishDialog } from './publish-dialog.tsx'
import styles from './live.module.css'

const filterNames = ['type', 'user', 'source', 'correlation', 'text', 'failed', 'unanswered', 'since'] as const

/** Events as they flow. */
export function Live() {
  const [params, change] = useUrlState()
  const filter: LiveFilter = Object.fromEntries(
    filterNames.flatMap(name => (params[name] === undefined ? [] : [[name, params[name]]])),
  )
  return (
    <LiveOf
      key={JSON.stringify(filter)}
      filter={filter}
      pattern={params.pattern ?? ''}
      onFilter={name => value => change({ [name]: value }, true)}
    />
  )
}

interface LiveProps {
  readonly filter: LiveFilter
  /** A regular expression that rows must match. */
  readonly pattern: string
  readonly onFilter: (name: string) => (value: string) => void
}

function LiveOf({ filter, pattern, onFilter }: LiveProps) {
  const live = useLiveRows(filter)
  const { data: info } = useQuery(infoQuery)
  const { rows: all, arrived, hasOlder, status, error, shift } = useSyncExternalStore(live.subscribe, live.snapshot)
  const { regExp, problem } = useMemo(() => compiled(pattern), [pattern])
  const deferred = useDeferredValue(all)
  const rows = useMemo(
    () => (regExp ? deferred.filter(row => regExp.test(`${row.type} ${row.source} ${row.summary}`)) : deferred),
    [deferred, regExp],
  )
  const { open, close, closeAll } = useOpenEvents()
  const scroller = useRef<HTMLDivElement>(null)
  const [following, setFollowing] = useState(true)
  const [publishing, setPublishing] = useState(false)
  const seenAtPause = useRef(0)

  useLayoutEffect(() => {
    const element = scroller.current
    if (element && following) element.scrollTop = element.scrollHeight
  }, [rows.length, following, arrived])
  // Rows that were added or removed above must not move those in view.
  const lastShift = useRef(shift)
  useLayoutEffect(() => {
    const element = scroller.current
    if (element && !following) element.scrollTop += (shift - lastShift.current) * eventRowHeight
    lastShift.current = shift
  }, [shift, following])

  const lastTop = useRef(0)
  const onScroll = () => {
    const element = scroller.current
    if (!element) return
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < eventRowHeight
    // Rows that arrive move the end away. Only a person scrolls up.
    const isUp = element.scrollTop < lastTop.current
    lastTop.current = element.scrollTop
    if (following ? isUp && !atEnd : atEnd) {
      seenAtPause.current = arrived
      setFollowing(!following)
    }
    if (element.scrollTop < 20 * eventRowHeight && hasOlder) void live.loadOlder()
  }
  useHotkeys({ Escape: closeAll, G: () => setFollowing(true), p: () => setPublishing(true) })
  const missed = arrived - seenAtPause.current

  return (
    <Page
      title="Live"
      about={
        <span className={styles.about} role="status" data-arrived={arrived}>
          <Dot tone={following ? 'ok' : 'waiting'} pulsing={following} />
          {following ? 'following' : 'paused'}
          <span className={styles.count}>{countFull(arrived)} since you opened this page</span>
        </span>
      }
      actions={
        info?.principal.rights.publish !== false && (
          <Button onClick={() => setPublishing(true)}>
            <Icon name="send" />
            Publish
          </Button>
        )
      }
      toolbar={
        <>
          <FilterField
            label="Type"
            placeholder="Type, as order.*"
            icon="filter"
            width={180}
            value={filter.type ?? ''}
            onChange={onFilter('type')}
            suggestions={info?.types.map(({ type }) => type) ?? []}
          />
          <FilterField label="Text" icon="search" width={150} value={filter.text ?? ''} onChange={onFilter('text')} />
          <FilterField
            label="Regular expression"
            placeholder="/regular expression/"
            width={170}
            value={pattern}
            onChange={onFilter('pattern')}
            problem={problem}
          />
          <FilterField
            label="Source"
            width={140}
            value={filter.source ?? ''}
            onChange={onFilter('source')}
            suggestions={info?.agents.map(({ name }) => `/agents/${name}`) ?? []}
          />
          <FilterField label="User" width={100} value={filter.user ?? ''} onChange={onFilter('user')} />
          <FilterField
            label="Correlation"
            width={130}
            value={filter.correlation ?? ''}
            onChange={onFilter('correlation')}
          />
          <Button pressed={filter.failed !== undefined} onClick={() => onFilter('failed')(filter.failed ? '' : '1')}>
            Failed only
          </Button>
          {filter.unanswered !== undefined && (
            <Button pressed title="Show other events too" onClick={() => onFilter('unanswered')('')}>
              {filter.unanswered} has not answered
              <Icon name="close" size={12} />
            </Button>
          )}
          {filter.since !== undefined && (
            <Button pressed title="Show older events too" onClick={() => onFilter('since')('')}>
              since <Time at={filter.since} />
              <Icon name="close" size={12} />
            </Button>
          )}
        </>
      }
    >
      <section className={styles.list} aria-label="Events">
        {status === 'failed' && <Failure error={error} retry={() => location.reload()} />}
        {status === 'loading' && <Loading what="events" />}
        {status === 'live' && rows.length === 0 && (
          <NoEvents filtered={Object.keys(filter).length > 0 || pattern !== ''} />
        )}
        {status === 'live' && rows.length > 0 && (
          <EventRows label="Events, newest last" rows={rows} scroller={scroller} onScroll={onScroll} />
        )}
        {!following && status === 'live' && (
          <ListJump direction="down" onClick={() => setFollowing(true)}>
            {missed > 0 ? `${countFull(missed)} new` : 'Paused'}: follow again
          </ListJump>
        )}
      </section>
      {open.length > 0 && <Inspector ids={open} onClose={close} />}
      <PublishDialog open={publishing} onClose={() => setPublishing(false)} />
    </Page>
  )
}

function useLiveRows(filter: LiveFilter): LiveRows {
  const [live, setLive] = useState(() => new LiveRows(filter))
  useEffect(() => {
    // In strict mode effects run twice.
    if (live.isClosed) setLive(new LiveRows(filter))
    return () => live.close()
  }, [live])
  return live
}

function NoEvents({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No event matches">Change the filters, or wait: what matches appears here.</Empty>
  return (
    <Empty title="The log is empty">
      <p>Publish an event: with the button above, or from a shell.</p>
      <pre>{`curl --json '{"type":"hello.said","data":{"text":"Hello"}}' ${new URL('events', new URL('..', document.baseURI)).href}`}</pre>
    </Empty>
  )
}

function compiled(pattern: string): { regExp?: RegExp; problem?: string } {
  if (pattern === '') return {}
  const [, body, flags] = /^\/(.*)\/([a-z]*)$/.exec(pattern) ?? [undefined, pattern, 'i']
  try {
    return { regExp: new RegExp(body, flags) }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}
