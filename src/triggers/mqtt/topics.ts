import { assertCustomType } from '../../bus/admit.ts'
import { TidingsError } from '../../errors.ts'
import type { EventType } from '../../event.ts'

/*
 * Topic filters. Source: MQTT 5.0, section 4.7. A broker may send a message once for each subscription that it fits (3.3.4), and
 * in MQTT 3.1.1 nothing tells such copies from two messages. So filters that lie within another one are not subscribed to, and
 * filters that overlap otherwise are refused.
 */

export const untyped = 'mqtt.received'

/** Filters, or what the messages of each become: an event of this type, whose data is the payload, or `mqtt.received`. */
export type MqttTopics = readonly string[] | Readonly<Record<string, EventType | typeof untyped>>

export interface TopicRoutes {
  /** What is subscribed to, sorted. */
  readonly filters: readonly string[]
  /** The first one named. */
  readonly first: string
  readonly types: readonly string[]
  /** Of the filters that the topic fits, what the most specific one says; undefined where it fits none. */
  route(topic: string): EventType | typeof untyped | undefined
}

/**
 * @throws E_APP_INVALID for what is no filter, and for filters that overlap without one lying within the other;
 * E_EVENT_INVALID for a type that is not the app's own
 */
export function topicRoutes(topics: MqttTopics): TopicRoutes {
  const entries = Object.entries<EventType | typeof untyped>(
    isList(topics) ? Object.fromEntries(topics.map(filter => [filter, untyped])) : topics,
  )
  if (entries.length === 0) throw invalid('it names no topics')
  for (const [, to] of entries) if (to !== untyped) assertCustomType(to.type)
  const rows = entries.map(([filter, to]) => ({ filter, levels: levelsOf(filter), to }))
  const filters = rows.filter(row => !rows.some(other => other !== row && covers(other.levels, row.levels)))
  for (const [i, one] of filters.entries())
    for (const other of filters.slice(i + 1))
      if (overlaps(one.levels, other.levels))
        throw invalid(`${one.filter} and ${other.filter} overlap; name a filter within which both lie as well`)
  const first = rows[0]!.filter
  rows.sort((one, other) => rank(one.levels).localeCompare(rank(other.levels), 'en'))
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

/** A topic that fits a filter. */
export const sampleTopic = (filter: string) => filter.replaceAll(/[+#]/g, 'sample')

// Array.isArray does not tell apart what is readonly.
const isList = (topics: MqttTopics): topics is readonly string[] => Array.isArray(topics)

function levelsOf(filter: string): string[] {
  const levels = filter.split('/')
  const isFilter =
    filter.length > 0 &&
    Buffer.byteLength(filter) <= 65_535 &&
    !filter.includes('\0') &&
    filter.isWellFormed() &&
    levels.every((level, i) => !/[+#]/.test(level) || level === '+' || (level === '#' && i === levels.length - 1))
  if (!isFilter) throw invalid(`"${filter.slice(0, 80)}" is no topic filter`)
  if (levels[0] === '$share') throw invalid(`"${filter.slice(0, 80)}": the option group makes a shared subscription`)
  return levels
}

/** Whether all topics of `inner`, a filter or a topic, fit `outer`. */
function covers(outer: readonly string[], inner: readonly string[]): boolean {
  if (hidden(outer, inner)) return false
  for (const [i, level] of outer.entries()) {
    if (level === '#') return true
    const other = inner[i]
    if (other === undefined || other === '#' || (level !== '+' && level !== other)) return false
  }
  // `a/#` fits `a` as well: that `a` fits it is seen above, with its end.
  return outer.length === inner.length
}

/** Whether there are topics that fit both. */
function overlaps(one: readonly string[], other: readonly string[]): boolean {
  if (hidden(one, other) || hidden(other, one)) return false
  for (let i = 0; ; i++) {
    const [a, b] = [one[i], other[i]]
    if (a === '#' || b === '#' || (a === undefined && b === undefined)) return true
    if (a === undefined || b === undefined || (a !== b && a !== '+' && b !== '+')) return false
  }
}

/** Wildcards at the beginning do not fit what begins with `$`. */
const hidden = ([wild]: readonly string[], [first]: readonly string[]) =>
  (wild === '+' || wild === '#') && first!.startsWith('$')

/** Sorts names before `+` before `#`, level by level. */
const rank = (levels: readonly string[]) => levels.map(level => (level === '#' ? 2 : level === '+' ? 1 : 0)).join('')

const invalid = (what: string) => new TidingsError('E_APP_INVALID', `mqtt: ${what}`)
