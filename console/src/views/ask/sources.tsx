import { type ReactNode, useCallback, useMemo } from 'react'
import { useUrlState } from '../../shell/url-state.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { passagesIn, type Source } from './answer.ts'
import type { Found } from './story.ts'
import styles from './sources.module.css'

/** Makes `[1]` and `[ID]` in a text open what they refer to. The URL says which source is open. */
export function useReferences(sources: readonly Source[], found: ReadonlyMap<string, Found>) {
  const [{ source: key }, change] = useUrlState()
  const open = useCallback((source: Source | undefined) => change({ source: source?.key }), [change])
  const keys = sources.map(({ key }) => key).join(' ')
  const find = useCallback(
    (text: string): Source | undefined =>
      sources.find(({ number, key }) => String(number) === text || key === text) ?? passagesIn(`[${text}]`, found)[0],
    // Sources are made again with every event, and are the same ones.
    [keys, found.size],
  )
  const reference = useCallback(
    (text: string): ReactNode => {
      const source = find(text)
      if (!source) return undefined
      const label = source.number ?? source.key.split('/').at(-1)
      return (
        <button
          type="button"
          className={styles.reference}
          title={`${source.title}${source.place === undefined ? '' : `\n${source.place}`}`}
          aria-label={`Source ${label}`}
          onClick={() => open(source)}
        >
          {label}
        </button>
      )
    },
    [find],
  )
  const opened = useMemo(
    () => (key === undefined ? undefined : (sources.find(each => each.key === key) ?? find(key))),
    [key, find],
  )
  return { reference, opened, open }
}

/** What an answer rests on. */
export function Sources({ sources, onOpen }: { sources: readonly Source[]; onOpen: (source: Source) => void }) {
  return (
    <section className={styles.sources} aria-label="Sources">
      <h2>Sources</h2>
      <ol>
        {sources.map((source, index) => (
          <li key={source.key}>
            <span className={styles.number}>{source.number ?? index + 1}</span>
            <Opener source={source} onOpen={onOpen} />
          </li>
        ))}
      </ol>
    </section>
  )
}

function Opener({ source, onOpen }: { source: Source; onOpen: (source: Source) => void }) {
  const { title, place, url } = source
  const text = (
    <>
      <span className={styles.title} title={title}>
        {title}
      </span>
      {place !== undefined && (
        <span className={styles.place} title={place}>
          {place}
        </span>
      )}
    </>
  )
  if (url !== undefined && /^https?:/i.test(url))
    return (
      <a className={styles.open} href={url} target="_blank" rel="noreferrer noopener">
        {text}
      </a>
    )
  return (
    <button type="button" className={styles.open} onClick={() => onOpen(source)}>
      {text}
    </button>
  )
}

/** The passage, with the quoted sentences marked. */
export function SourceDialog({ source, onClose }: { source: Source | undefined; onClose: () => void }) {
  return (
    <Dialog open={source !== undefined} onClose={onClose} title={source?.title ?? 'Source'} wide>
      {source && (
        <div className={styles.passage}>
          {source.place !== undefined && <p className={styles.place}>{source.place}</p>}
          <pre tabIndex={0} dir="auto">
            {source.text === undefined ? source.quotes.join('\n\n') : marked(source.text, source.quotes)}
          </pre>
        </div>
      )}
    </Dialog>
  )
}

/** White space may differ between a quotation and its passage. */
function marked(text: string, quotes: readonly string[]): ReactNode {
  const patterns = quotes.map(quote => quote.trim().split(/\s+/).map(escaped).join('[\\s>*_`]+'))
  if (patterns.length === 0) return text
  return text
    .split(new RegExp(`(${patterns.join('|')})`))
    .map((piece, index) => (index % 2 === 1 ? <mark key={index}>{piece}</mark> : piece))
}

const escaped = (word: string) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
