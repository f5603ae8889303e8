import { correlationOf, partitionOf, shardOf } from '../../bus/ids.ts'
import { isWildcard, type Clause, type Filter } from '../../pattern.ts'

/* Names on the server. `docs/nats.md` is normative. */

const plain = /^[A-Za-z0-9_-]+$/

/** A name as one token of a subject or as part of the name of a consumer. */
export function token(name: string | null | undefined): string {
  if (name == null) return '-'
  if (plain.test(name) && name !== '-') return name
  let encoded = ''
  for (const byte of new TextEncoder().encode(name)) {
    const char = String.fromCharCode(byte)
    encoded += plain.test(char) && name !== '-' ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/** The name of a token. */
export const fromToken = (text: string) => decodeURIComponent(text)

export const durableOf = (group: string, shard?: number) =>
  shard === undefined ? token(group) : `${token(group)}@${shard}`

/** Kinds of what is stored in a partition: events, turns, redeliveries, and the wake-ups of older versions. */
export const storedKinds = ['e', 't', 'r', 'w']

/** Streams and subjects of one log. */
export class Names {
  readonly log: string
  readonly shards: number
  readonly partitions: number

  constructor(log: string, shards: number, partitions = 1) {
    this.log = log
    this.shards = shards
    this.partitions = partitions
  }

  /** The stream of a partition. */
  partition(partition: number): string {
    return this.partitions === 1 ? this.log : `${this.log}_${partition}`
  }

  subjectsOf(partition: number): string[] {
    if (this.partitions === 1) return storedKinds.map(kind => `${this.log}.${kind}.>`)
    const shards = Array.from({ length: this.shards }, (_, shard) => shard)
    return shards
      .filter(shard => this.partitionOf(shard) === partition)
      .flatMap(shard => storedKinds.map(kind => `${this.log}.${kind}.${shard}.>`))
  }

  get state() {
    return `${this.log}_state`
  }

  get blobs() {
    return `${this.log}_blobs`
  }

  shardOf(correlation: string): number {
    return shardOf(correlation, this.shards)
  }

  partitionOf(shard: number): number {
    return partitionOf(shard, this.partitions)
  }

  event({ correlationid, target, type }: { correlationid: string; target?: string; type: string }): string {
    return `${this.log}.e.${this.shardOf(correlationid)}.${token(target)}.${type}`
  }

  /** A task id is `CORRELATION.HASH`: two tokens. */
  turn(task: string): string {
    return `${this.log}.t.${this.shardOf(correlationOf(task))}.${task}`
  }

  turnsOf(correlation: string): string {
    return `${this.turn(correlation)}.*`
  }

  turnsIn(shard: number): string {
    return `${this.log}.t.${shard}.>`
  }

  redelivery(shard: number | '*', group: string): string {
    return `${this.log}.r.${shard}.${token(group)}`
  }

  wake(shard: number, group: string): string {
    return `${this.log}.w.${shard}.${token(group)}`
  }

  /** Everything in one shard. */
  shard(shard: number): string {
    return `${this.log}.*.${shard}.>`
  }

  /** A document of the state, by the words that name it. */
  doc(...words: (string | number)[]): string {
    return `${this.log}.s.${words.map(word => (word === '*' || word === '>' ? word : token(String(word)))).join('.')}`
  }

  /** A named document: each part of its key is a token, so that a right may be given for all that begin alike. */
  document(key: string): string {
    return `${this.log}.s.doc.${key
      .split('/')
      .map(part => token(part || null))
      .join('.')}`
  }

  /** Notifies the owner of a shard that another process changed a task in it. */
  change(shard: number | '*', group: string): string {
    return `${this.log}.c.${shard}.${token(group)}`
  }

  shardIn(subject: string): number {
    return Number(subject.slice(this.log.length).split('.')[2])
  }

  get signal() {
    return `${this.log}.signal`
  }

  /** Subjects for a consumer that cover the filter, without overlaps. */
  filters(filter: Filter, group: string, shard: number | '*' = '*'): string[] {
    const subjects = filter.flatMap(clause => this.subjectsFor(clause, shard))
    return [...withoutOverlaps(subjects), this.redelivery(shard, group)]
  }

  /** Those of the events that a clause may match. */
  subjectsFor({ types, targets }: Clause, shard: number | '*'): string[] {
    // A target is one token, so the server cannot match a part of it.
    const tokens = targets && !targets.some(isWildcard) ? targets.map(token) : ['*']
    return tokens.flatMap(target => types.map(type => `${this.log}.e.${shard}.${target}.${type}`))
  }
}

/** The server rejects filters if two may match one subject: those are replaced by one that covers both. */
function withoutOverlaps(subjects: readonly string[]): string[] {
  const disjoint: string[] = []
  for (let subject of subjects) {
    for (let i = 0; i < disjoint.length; ) {
      if (!overlap(disjoint[i]!, subject)) i++
      else {
        subject = covering(disjoint[i]!, subject)
        disjoint.splice(i, 1)
        i = 0
      }
    }
    disjoint.push(subject)
  }
  return disjoint
}

function overlap(a: string, b: string): boolean {
  const [left, right] = [a.split('.'), b.split('.')]
  for (let i = 0; ; i++) {
    const [l, r] = [left[i], right[i]]
    if (l === undefined || r === undefined) return l === r
    if (l === '>' || r === '>') return true
    if (l !== r && l !== '*' && r !== '*') return false
  }
}

function covering(a: string, b: string): string {
  const [left, right] = [a.split('.'), b.split('.')]
  const words: string[] = []
  for (let i = 0; i < left.length || i < right.length; i++) {
    const [l, r] = [left[i], right[i]]
    // `>` is one word or more: where one of the two ends, its last word goes too.
    if (l === undefined || r === undefined) return [...words.slice(0, -1), '>'].join('.')
    if (l === '>' || r === '>') return [...words, '>'].join('.')
    words.push(l === r ? l : '*')
  }
  return words.join('.')
}

export const coverAll = (subjects: readonly string[]) => subjects.reduce(covering)
