import { useMemo, useState } from 'react'
import { bytesText } from './format.ts'
import { Icon } from './icon.tsx'
import styles from './json-view.module.css'

const maxOpenDepth = 2
const maxEntries = 100
const maxTextLength = 600

/** A JSON value as a tree: the first levels are open, long lists and texts show their beginning. */
export function JsonView({ value, label }: { value: unknown; label?: string }) {
  return (
    <div className={styles.json} role="tree" aria-label={label ?? 'JSON'}>
      <Value value={value} depth={0} />
    </div>
  )
}

function Value({ name, value, depth }: { name?: string; value: unknown; depth: number }) {
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0)
    return <Branch name={name} value={value} depth={depth} />
  return (
    <div className={styles.line} role="treeitem" style={{ paddingInlineStart: depth * 14 + 16 }}>
      {name !== undefined && <span className={styles.key}>{name}</span>}
      <Leaf value={value} />
    </div>
  )
}

function Branch({ name, value, depth }: { name: string | undefined; value: object; depth: number }) {
  const entries = useMemo(() => Object.entries(value), [value])
  const [open, setOpen] = useState(depth < maxOpenDepth && entries.length <= maxEntries)
  const [shown, setShown] = useState(maxEntries)
  const isList = Array.isArray(value)
  const size = isList ? `[${entries.length}]` : `{${entries.length}}`
  return (
    <div role="treeitem" aria-expanded={open}>
      <button
        type="button"
        className={styles.line}
        style={{ paddingInlineStart: depth * 14 }}
        onClick={() => setOpen(!open)}
      >
        <Icon name={open ? 'down' : 'right'} size={12} />
        {name !== undefined && <span className={styles.key}>{name}</span>}
        <span className={styles.size}>{size}</span>
        {!open && <span className={styles.hint}>{hintOf(entries, isList)}</span>}
      </button>
      {open && (
        <div role="group">
          {entries.slice(0, shown).map(([key, each]) => (
            <Value key={key} name={key} value={each} depth={depth + 1} />
          ))}
          {entries.length > shown && (
            <button
              type="button"
              className={styles.more}
              style={{ marginInlineStart: depth * 14 + 30 }}
              onClick={() => setShown(shown + 10 * maxEntries)}
            >
              {entries.length - shown} more
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Leaf({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false)
  if (typeof value !== 'string')
    return <span className={styles[typeof value] ?? styles.size}>{JSON.stringify(value)}</span>
  const binary = base64Bytes(value)
  if (binary !== undefined) return <span className={styles.size}>base64, {bytesText(binary)}</span>
  const isLong = value.length > maxTextLength && !whole
  return (
    <span className={styles.string} dir="auto">
      {isLong ? value.slice(0, maxTextLength) : value}
      {isLong && (
        <button type="button" className={styles.more} onClick={() => setWhole(true)}>
          … all {value.length.toLocaleString('en')} characters
        </button>
      )}
    </span>
  )
}

/** Size of the bytes in a text that is base64, and nothing a person could read; undefined for other texts. */
export function base64Bytes(text: string): number | undefined {
  const body = /^data:[\w/+.-]+;base64,/.exec(text)?.[0].length ?? 0
  if (text.length - body < 200) return undefined
  const head = text.slice(body, body + 4_096)
  const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(head) && /[A-Z]/.test(head) && /[a-z]/.test(head) && /\d/.test(head)
  return isBase64 ? Math.floor(((text.length - body) * 3) / 4) : undefined
}

function hintOf(entries: [string, unknown][], isList: boolean): string {
  const text = entries
    .slice(0, 4)
    .map(([key, value]) => (isList ? short(value) : `${key}: ${short(value)}`))
    .join(', ')
  return text.slice(0, 120)
}

const short = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? Array.isArray(value)
      ? '[…]'
      : '{…}'
    : JSON.stringify(value).slice(0, 40)
