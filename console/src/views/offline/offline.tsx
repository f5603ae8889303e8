import { useEffect } from 'react'
import { SourceProvider } from '../../api/source.tsx'
import { startWorker } from '../../api/worker.ts'
import { Page } from '../../shell/page.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { bytesText, countFull } from '../../ui/format.ts'
import { Button } from '../../ui/button.tsx'
import { FilterField } from '../../ui/field.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { Time } from '../../ui/time.tsx'
import { Inspector } from '../event/inspector.tsx'
import { useOpenEvents } from '../event/open-events.ts'
import { TraceOf } from '../trace/trace-of.tsx'
import { CorrelationList } from '../traces/correlation-list.tsx'
import { DropZone, FileButton } from './drop-zone.tsx'
import { EventList } from './event-list.tsx'
import { closeSlice, openSlice, useOpenedSlice, type OpenedSlice } from './opened-slice.ts'
import styles from './offline.module.css'

/* Everything that this view needs is part of it, or started with it: it works when the server is gone. */

/** An exported slice, looked at without a server. */
export function Offline() {
  const slice = useOpenedSlice()
  const [params, change] = useUrlState()
  useEffect(() => void startWorker(), [])
  const onFile = async (file: File) => {
    if (await openSlice(file)) change({ correlation: '', at: '', open: '', range: '', text: '', type: '', failed: '' })
  }
  return (
    <DropZone onFile={file => void onFile(file)}>
      {slice.source ? (
        <SourceProvider source={slice.source}>
          {slice.error !== undefined && <Failure error={slice.error} />}
          {params.correlation === undefined ? (
            <Opened slice={slice} onFile={file => void onFile(file)} />
          ) : (
            <TraceOf key={`${slice.source.id} ${params.correlation}`} correlation={params.correlation} />
          )}
        </SourceProvider>
      ) : (
        <Page title="Slice">
          <Choose slice={slice} isBack={params.correlation !== undefined} onFile={file => void onFile(file)} />
        </Page>
      )}
    </DropZone>
  )
}

interface PartProps {
  readonly slice: OpenedSlice
  readonly onFile: (file: File) => void
}

/** `isBack`: the URL names something in a slice that is no longer open. */
function Choose({ slice: { reading, error }, isBack, onFile }: PartProps & { isBack: boolean }) {
  if (reading !== undefined) return <Loading what={reading} />
  return (
    <section className={styles.choose} aria-label="Open a slice">
      {error !== undefined && <Failure error={error} />}
      <Empty title={isBack ? 'The slice is no longer open: drop it here again' : 'Drop an exported slice here'}>
        <p>
          It is read in this tab, and sent nowhere. Export one with <code>npx tidings export</code>:
        </p>
        <pre>npx tidings export --correlation ID slice.jsonl.gz</pre>
        <FileButton primary onFile={onFile} />
      </Empty>
    </section>
  )
}

function Opened({ slice: { summary, reading }, onFile }: PartProps) {
  const [params, change] = useUrlState()
  const { open, close } = useOpenEvents()
  const isEvents = params.view === 'events'
  const { name, bytes, events, correlations, from, to } = summary!
  return (
    <Page
      title={name}
      about={
        <span className={styles.about}>
          {countFull(events)} events in {countFull(correlations)} traces, {bytesText(bytes)}
          {from !== undefined && to !== undefined && (
            <>
              {', '}
              <Time at={from} /> to <Time at={to} />
            </>
          )}
        </span>
      }
      actions={
        <>
          <FileButton onFile={onFile} />
          <Button look="quiet" onClick={closeSlice}>
            Close
          </Button>
        </>
      }
      toolbar={
        <>
          <Button pressed={!isEvents} onClick={() => change({ view: '' })}>
            Traces
          </Button>
          <Button pressed={isEvents} onClick={() => change({ view: 'events' })}>
            Events
          </Button>
          {isEvents && (
            <>
              <FilterField
                label="Type"
                placeholder="Type, as order.*"
                icon="filter"
                width={180}
                value={params.type ?? ''}
                onChange={type => change({ type }, true)}
              />
              <FilterField
                label="Text"
                icon="search"
                width={180}
                value={params.text ?? ''}
                onChange={text => change({ text }, true)}
              />
              <Button
                pressed={params.failed === '1'}
                onClick={() => change({ failed: params.failed === '1' ? '' : '1' }, true)}
              >
                Failed only
              </Button>
            </>
          )}
        </>
      }
    >
      <section className={styles.list} aria-label={isEvents ? 'Events' : 'Traces'}>
        {reading !== undefined ? (
          <Loading what={reading} />
        ) : isEvents ? (
          <EventList />
        ) : (
          <CorrelationList
            onOpen={correlation => change({ correlation })}
            empty={<Empty title="The slice has no event" />}
          />
        )}
      </section>
      {isEvents && open.length > 0 && <Inspector ids={open} onClose={close} />}
    </Page>
  )
}
