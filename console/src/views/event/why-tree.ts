import type { CauseLink, ChainEnd } from '../../../../src/trace/reasons.ts'

/** What `tidings why --json` prints, a line. `causeOf`: the event that this one caused. */
export type WhyRecord = { readonly causeOf?: string } & (
  | Omit<CauseLink, 'also' | 'more'>
  | { readonly more: number }
  | { readonly [Is in ChainEnd['is']]?: string }
)

export interface WhyStep extends Omit<CauseLink, 'also' | 'more'> {
  /** The other causes, each with its own chain. */
  readonly also: readonly WhyChain[]
  /** Number of causes that are left out. */
  readonly more: number
}

/** From an event back to its first cause, or to where the chain stops. */
export interface WhyChain {
  readonly steps: readonly WhyStep[]
  readonly rest?: ChainEnd
}

/** Puts the records together again: of the causes of an event, the one that it names continues its chain. */
export function whyChain(records: readonly WhyRecord[]): WhyChain {
  const causes = Map.groupBy(records, ({ causeOf }) => causeOf)
  return records[0] ? chainFrom(records[0], causes) : { steps: [] }
}

function chainFrom(first: WhyRecord, causes: ReadonlyMap<string | undefined, readonly WhyRecord[]>): WhyChain {
  const steps: WhyStep[] = []
  let record: WhyRecord | undefined = first
  while (record) {
    const link = linkIn(record)
    if (!link) return { steps, ...withRest(endIn(record)) }
    const others: readonly WhyRecord[] = causes.get(link.event.id) ?? []
    const next = others.find(each => idOf(each) === link.event.causationid)
    steps.push({
      ...link,
      also: others.filter(each => each !== next && !('more' in each)).map(each => chainFrom(each, causes)),
      more: others.reduce((sum, each) => sum + ('more' in each ? each.more : 0), 0),
    })
    record = next
  }
  return { steps }
}

const linkIn = (record: WhyRecord): Omit<CauseLink, 'also' | 'more'> | undefined =>
  'event' in record ? record : undefined

const ends = ['lost', 'circle', 'shown', 'cut'] as const

function endIn(record: WhyRecord): ChainEnd | undefined {
  const fields = record as Partial<Record<ChainEnd['is'], string>>
  const is = ends.find(name => fields[name] !== undefined)
  return is && { id: fields[is]!, is }
}

const withRest = (rest: ChainEnd | undefined) => rest && { rest }
const idOf = (record: WhyRecord) => linkIn(record)?.event.id ?? endIn(record)?.id
