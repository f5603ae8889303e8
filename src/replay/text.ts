import { relative } from 'node:path'

/** `data.items.3.name` */
export const pathText = (path: readonly (string | number)[]) => path.join('.') || '(the whole)'

/** A source location relative to the working directory if it is below it. */
export function locationText(location: string): string {
  const short = relative('.', location)
  return short.startsWith('..') ? location : short
}

/** A value on one line. A long one is cut to the surroundings of its first difference. */
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
