import { assertCustomType } from '../../bus/admit.ts'
import { TidingsError } from '../../errors.ts'
import type { EventType } from '../../event.ts'

/*
 * Topic filters. Source: MQTT 5.0, section 4.7. A broker may send a message once for each matching subscription (3.3.4), and in
 * MQTT 3.1.1 such copies look like separate messages. So a filter that another one covers is not subscribed to, and filters
 * that overlap otherwise are rejected.
 */

export const untyped = 'mqtt.received'

/** Filters, or by filter the type of the events: one of your own, with the payload as data, or `mqtt.received`. */
export type MqttTopics = readonly string[] | Readonly<Record<string, MessageType>>

export type MessageType = EventType | typeof untyped

export interface TopicRoutes {
  /** The subscriptions, sorted. */
  readonly filters: readonly string[]
  /** The first filter in the options. */
  readonly first: string
  readonly types: readonly string[]
  /** The type for a topic, by the most specific matching filter; undefined if none matches. */
  route(topic: string): MessageType | undefined
}

/**
 * @throws E_APP_INVALID for an invalid filter, and for filters that overlap unless one covers the other; E_EVENT_INVALID
 * for a type that is reserved
 */
export function topicRoutes(topics: MqttTopics): TopicRoutes {
  const entries = Object.entries<MessageType>(
    isList(topics) ? Object.fromEntries(topics.map(filter => [filter, untyped])) : topics,
  )
  if (entries.length === 0) throw invalid('topics is empty; name at least one filter')
  for (const [, to] of entries) if (to !== untyped) assertCustomType(to.type)
  const rows = entries.map(([filter, to]) => ({ filter, levels: levelsOf(filter), to }))
  const filters = rows.filter(row => !rows.some(other => other !== row && covers(other.levels, row.levels)))
  for (const [i, one] of filters.entries())
    for (const other of filters.slice(i + 1))
      if (overlaps(one.levels, other.levels))
        throw invalid(`"${one.filter}" and "${other.filter}" overlap; add a filter that covers both`)
  const first = rows[0]!.filter
  rows.sort((one, other) => specificity(one.levels).localeCompare(specificity(other.levels), 'en'))
  return {
    first,
    filters: filters.map(({ filter }) => filter).toSorted(),
    types: [...new Set(rows.map(({ to }) => (to === untyped ? untyped : to.type)))],
    route: topic => {
      const levels = topic.split('/')
      return rows.find(row => covers(row.levels, levels))?.to
    },
  }
}

export const sampleTopic = (filter: string) => filter.replaceAll(/[+#]/g, 'sample')

// Array.isArray() does not narrow readonly arrays.
const isList = (topics: MqttTopics): topics is readonly string[] => Array.isArray(topics)

function levelsOf(filter: string): string[] {
  const levels = filter.split('/')
  const isFilter =
    filter.length > 0 &&
    Buffer.byteLength(filter) <= 65_535 &&
    !filter.includes('\0') &&
    filter.isWellFormed() &&
    levels.every((level, i) => !/[+#]/.test(level) || level === '+' || (level === '#' && i === levels.length - 1))
  if (!isFilter) throw invalid(`invalid topic filter "${filter.slice(0, 80)}"`)
  if (levels[0] === '$share') throw invalid(`"${filter.slice(0, 80)}": use the option group for a shared subscription`)
  return levels
}

/** Whether `outer` matches all topics of `inner`, a filter or a topic. */
function covers(outer: readonly string[], inner: readonly string[]): boolean {
  if (excludesSystemTopics(outer, inner)) return false
  for (const [i, level] of outer.entries()) {
    if (level === '#') return true
    const other = inner[i]
    if (other === undefined || other === '#' || (level !== '+' && level !== other)) return false
  }
  // `a/#` also matches `a`, which the loop has accepted.
  return outer.length === inner.length
}

/** Whether a topic can match both. */
function overlaps(one: readonly string[], other: readonly string[]): boolean {
  if (excludesSystemTopics(one, other) || excludesSystemTopics(other, one)) return false
  for (let i = 0; ; i++) {
    const [a, b] = [one[i], other[i]]
    if (a === '#' || b === '#' || (a === undefined && b === undefined)) return true
    if (a === undefined || b === undefined || (a !== b && a !== '+' && b !== '+')) return false
  }
}

/** A leading wildcard does not match topics that start with `$`. */
const excludesSystemTopics = ([wild]: readonly string[], [first]: readonly string[]) =>
  (wild === '+' || wild === '#') && first!.startsWith('$')

/** Sorts names before `+` before `#`, level by level. */
const specificity = (levels: readonly string[]) =>
  levels.map(level => (level === '#' ? 2 : level === '+' ? 1 : 0)).join('')

const invalid = (what: string) => new TidingsError('E_APP_INVALID', `mqtt: ${what}`)
