import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import type { GroupState } from '../bus/driver.ts'
import { readCircuit } from '../models/circuit.ts'
import { elapsed, printable } from '../trace/text.ts'
import { namesOfGroups } from './hosted.ts'

/** A model whose provider is away, so that one request at a time asks it. Times are RFC 3339. */
export interface UnavailableModel {
  readonly model: string
  readonly since: string
  /** The last error. */
  readonly reason: string
  /** When the next request asks it; absent while one does. */
  readonly nextProbe?: string
}

export async function findUnavailable(bus: Bus, groups: readonly GroupState[]): Promise<UnavailableModel[]> {
  const models = namesOfGroups(groups, 'model')
  const found = await Promise.all(models.map(async model => ({ model, open: await readCircuit(bus, model) })))
  const now = Date.now()
  return found.flatMap(({ model, open }) => {
    if (!open) return []
    const { since, reason, probeAt, probe } = open
    const isProbing = probe !== undefined && probe.until > now
    return {
      model,
      since: new Date(since).toISOString(),
      reason,
      ...(!isProbing && { nextProbe: new Date(probeAt).toISOString() }),
    }
  })
}

/** On one line, without colours. */
export function unavailableText({ model, since, reason, nextProbe }: UnavailableModel, now = Date.now()): string {
  const wait = nextProbe === undefined ? 0 : Date.parse(nextProbe) - now
  const next =
    nextProbe === undefined ? 'a probe is under way' : wait > 0 ? `next probe in ${elapsed(wait)}` : 'next probe is due'
  return printable(`${model} is away for ${elapsed(Math.max(0, now - Date.parse(since)))}, ${next}: ${reason}`)
}

export const paintUnavailable = (text: string) => styleText('yellow', text)
