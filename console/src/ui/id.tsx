import { useState } from 'react'
import { shortId } from '../../../src/trace/short-id.ts'
import { Icon } from './icon.tsx'
import styles from './id.module.css'

/** The short form of an id; a click copies the whole one. */
export function Id({ id, program }: { id: string; program?: string | undefined }) {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    await navigator.clipboard.writeText(id)
    setCopied(true)
    setTimeout(() => setCopied(false), 1_200)
  }
  return (
    <button
      type="button"
      className={styles.id}
      title={`${id}\nClick to copy`}
      onClick={event => {
        event.stopPropagation()
        event.preventDefault()
        void copy()
      }}
    >
      {shortId(id, program)}
      <span className={styles.icon}>
        <Icon name={copied ? 'check' : 'copy'} size={12} />
      </span>
      <span className="visually-hidden" role="status">
        {copied ? 'copied' : ''}
      </span>
    </button>
  )
}
