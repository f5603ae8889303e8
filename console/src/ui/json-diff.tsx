import { countText } from '../../../src/trace/text.ts'
import { type Delta, diff } from 'jsondiffpatch'
import { useMemo, type ReactNode } from 'react'
import { changedPart } from './changed-part.ts'
import { classes } from './classes.ts'
import styles from './json-diff.module.css'

/** What differs between two JSON values: lines that are gone, lines that are new, and how much is the same. */
export function JsonDiff({ before, after }: { before: unknown; after: unknown }) {
  const delta = useMemo(() => diff(before, after), [before, after])
  return (
    <div className={styles.diff} role="group" aria-label="Differences">
      {delta === undefined ? (
        <Same depth={0}>no difference</Same>
      ) : (
        <Difference delta={delta} before={before} after={after} depth={0} />
      )}
    </div>
  )
}

interface DifferenceProps {
  readonly name?: string | undefined
  readonly delta: Delta
  readonly before: unknown
  readonly after: unknown
  readonly depth: number
}

function Difference({ name, delta, before, after, depth }: DifferenceProps) {
  if (Array.isArray(delta)) return <Change name={name} change={delta} depth={depth} />
  const isList = Array.isArray(after)
  const changed = changesIn(delta as Record<string, Delta>, isList)
  const same = sizeOf(after) - changed.filter(({ key }) => !(isList && key.startsWith('_'))).length
  const inside = name === undefined ? depth : depth + 1
  return (
    <>
      {name !== undefined && (
        <div className={styles.line} style={indent(depth)}>
          <span className={styles.key}>{name}</span>
        </div>
      )}
      {changed.map(({ key, label, each }) => (
        <Difference
          key={key}
          name={label}
          delta={each}
          before={child(before, label)}
          after={child(after, label)}
          depth={inside}
        />
      ))}
      {same > 0 && (
        <Same
          depth={inside}
        >{`${isList ? countText(same, 'entry', 'entries') : countText(same, 'field')} unchanged`}</Same>
      )}
    </>
  )
}

/** `[new]`, `[old, new]`, `[old, 0, 0]` if it is gone, `['', index, 3]` if it moved. */
function Change({ name, change, depth }: { name: string | undefined; change: readonly unknown[]; depth: number }) {
  const [was, is, kind] = change
  if (kind === 3) return <Same depth={depth}>{`${name} moved to ${String(is)}`}</Same>
  if (change.length === 1) return <Line sign="+" name={name} depth={depth} value={was} />
  if (change.length === 3) return <Line sign="−" name={name} depth={depth} value={was} />
  const { removed, added } = partsOf(was, is)
  return (
    <>
      <Line sign="−" name={name} depth={depth} value={was} text={removed} />
      <Line sign="+" name={name} depth={depth} value={is} text={added} />
    </>
  )
}

/** In a list, what was removed has the index of before, with a `_`. */
function changesIn(delta: Record<string, Delta>, isList: boolean) {
  const changes = Object.entries(delta)
    .filter(([key]) => !isList || key !== '_t')
    .map(([key, each]) => ({ key, label: isList ? key.replace('_', '') : key, each }))
  return isList ? changes.toSorted((a, b) => Number(a.label) - Number(b.label)) : changes
}

interface LineProps {
  readonly sign: '+' | '−'
  readonly name: string | undefined
  readonly value: unknown
  readonly text?: ReactNode
  readonly depth: number
}

function Line({ sign, name, value, text, depth }: LineProps) {
  return (
    <div className={classes(styles.line, sign === '+' ? styles.added : styles.removed)} style={indent(depth)}>
      <span className={styles.sign} aria-label={sign === '+' ? 'new' : 'gone'}>
        {sign}
      </span>
      {name !== undefined && <span className={styles.key}>{name}</span>}
      <span className={styles.value} dir="auto">
        {text ?? written(value)}
      </span>
    </div>
  )
}

const Same = ({ depth, children }: { depth: number; children: ReactNode }) => (
  <div className={classes(styles.line, styles.same)} style={indent(depth)}>
    {children}
  </div>
)

/** Of two texts, the part that differs is marked. */
function partsOf(before: unknown, after: unknown): { removed?: ReactNode; added?: ReactNode } {
  if (typeof before !== 'string' || typeof after !== 'string') return {}
  const { start, end, was, is } = changedPart(before, after)
  const shown = (part: string) => (
    <>
      {start}
      <mark>{part}</mark>
      {end}
    </>
  )
  return { removed: shown(was), added: shown(is) }
}

const written = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value, undefined, 2))
const sizeOf = (value: unknown): number => (typeof value === 'object' && value !== null ? Object.keys(value).length : 0)
const child = (value: unknown, key: string): unknown => (value as Record<string, unknown> | undefined)?.[key]
const indent = (depth: number) => ({ paddingInlineStart: 8 + depth * 14 })
