import { useState } from 'react'
import type { EventDetails } from '../../api/shapes.ts'
import { useSource } from '../../api/source.tsx'
import { Button } from '../../ui/button.tsx'
import { bytesText } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { notifyFailure } from '../../ui/toasts.tsx'
import styles from './payload.module.css'

/** The data of an event; of large data its beginning, and the whole as a download. */
export function Payload({ details: { event, bytes, preview, truncated } }: { details: EventDetails }) {
  return (
    <div className={styles.payload}>
      {truncated === true ? (
        <LargeData event={event.id} bytes={bytes} preview={preview ?? ''} />
      ) : (
        <JsonView value={event.data} label="Payload" />
      )}
    </div>
  )
}

/** The beginning of the data of an event that is too large to be shown. */
export function LargeData({ event, bytes, preview }: { event: string; bytes: number; preview: string }) {
  const source = useSource()
  const [loading, setLoading] = useState(false)
  const save = async () => {
    setLoading(true)
    await source.save(event).catch(notifyFailure)
    setLoading(false)
  }
  return (
    <>
      <div className={styles.large}>
        {bytesText(bytes)}: this is the beginning.
        <Button onClick={() => void save()} disabled={loading}>
          <Icon name="download" />
          Download all
        </Button>
      </div>
      <pre className={styles.preview} dir="auto">
        {preview}
      </pre>
    </>
  )
}
