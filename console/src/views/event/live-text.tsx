import { createContext, useContext, useSyncExternalStore } from 'react'
import type { WrittenText } from '../../worker/protocol.ts'
import styles from './live-text.module.css'

/** What an open trace knows of calls. */
export interface CallNews {
  subscribeToTexts(listener: () => void): () => void
  /** Undefined if the call has been answered, or has no text yet. */
  textOf(call: string): WrittenText | undefined
  /** The id of the event that answered; undefined for an open call, and for what is no call. */
  answerOf(call: string): string | undefined
}

const none: CallNews = { subscribeToTexts: () => () => {}, textOf: () => undefined, answerOf: () => undefined }

export const CallNewsContext = createContext(none)

const names = {
  text: 'The model writes',
  reasoning: 'The model thinks',
  'tool-input': 'The model writes the arguments of a call',
} as const

/** The text of an open call of a model as it is generated; nothing for any other event. */
export function LiveText({ call }: { call: string }) {
  const texts = useContext(CallNewsContext)
  const written = useSyncExternalStore(texts.subscribeToTexts, () => texts.textOf(call))
  if (!written) return null
  return (
    <section className={styles.live} aria-label="Text that the model writes">
      <h3>{names[written.kind]}</h3>
      <p dir="auto">
        {written.text}
        <span className={styles.caret} aria-hidden="true" />
      </p>
    </section>
  )
}
