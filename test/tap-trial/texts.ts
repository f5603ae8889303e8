import type { Random } from '../crashloop/random.ts'

const words = [
  'tide', 'ebb', 'harbour', 'lamp', 'keeper', 'Flut', 'Größe', 'naïve', 'façade', 'прилив', 'маяк', '潮汐', '灯台', 'ทะเล', 'مدّ', 'גאות', '🌊', '👩‍🚒', '🏴󠁧󠁢󠁳󠁣󠁴󠁿',
  '"quoted"', 'back\\slash', 'tab\there', 'line\nbreak', 'crlf\r\nhere', '\u2028', 'data: {"no":"event"}', '[DONE]', '</s>', '\u0001', '0.1', 'null',
] // biome-ignore format: one list

/** Words of many scripts, with all that JSON, UTF-8 and event streams may trip over. */
export function textOf(random: Random, most = 24): string {
  return Array.from({ length: random.whole(1, most) }, () => random.pick(words)).join(' ')
}

export const hexOf = (random: Random, digits: number) =>
  Array.from({ length: digits }, () => random.whole(0, 15).toString(16)).join('')

/** The shape of a key of a provider. No log may have it. */
export const secretOf = (random: Random, prefix: string) => `${prefix}${hexOf(random, 48)}`

/** JSON as different servers write it: compact, spaced, or in ASCII as Python does. */
export function jsonBytes(random: Random, value: unknown): string {
  const style = random.whole(0, 3)
  if (style === 0) return JSON.stringify(value, null, 2)
  const json = JSON.stringify(value)
  return style === 1
    ? json.replace(/[\u0080-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json
}
