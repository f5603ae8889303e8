import { relative } from 'node:path'

/** `data.items.3.name`, as it is typed in code. */
export const pathText = (path: readonly (string | number)[]) => path.join('.') || '(the whole)'

/** A place as people write it: relative to where they are. */
export function locationText(place: string): string {
  const short = relative('.', place)
  return short.startsWith('..') ? place : short
}

/** A value on one line. Of long ones that differ, what lies around the first difference. */
export function valueText(value: unknown, other: unknown, width: number): string {
  if (value === undefined) return '(absent)'
  const text = JSON.stringify(value)
  if (text.length <= width) return text
  const otherText = JSON.stringify(other) ?? ''
  let same = 0
  while (same < text.length && text[same] === otherText[same]) same++
  const start = Math.max(0, Math.min(same - 12, text.length - width + 2))
  return `${start > 0 ? '…' : ''}${text.slice(start, start + width - 2)}${start + width - 2 < text.length ? '…' : ''}`
}
