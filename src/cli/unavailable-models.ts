import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import type { GroupState } from '../bus/driver.ts'
import { readCircuit } from '../models/circuit.ts'
import { elapsed, printable } from '../trace/text.ts'
import { namesOfGroups } from '../tasks/hosts.ts'

/** A model whose provider keeps failing, so that one request at a time probes it. Times are RFC 3339. */
export interface UnavailableModel {
  readonly model: string
  readonly since: string
  /** The message of the last error. */
  readonly reason: string
  /** Time of the next probe; absent while one runs. */
  readonly nextProbe?: string
}

export async function findUnavailable(bus: Bus, groups: readonly GroupState[]): Promise<UnavailableModel[]> {
  const models = namesOfGroups(groups, 'model')
  const found = await Promise.all(models.map(async model => ({ model, open: await readCircuit(bus, model) })))
  const now = Date.now()
  return found.flatMap(({ model, open }) => {
    if (!open) return []
    const { reason, probeAt, probe } = open
    const unavailable = { model, since: new Date(open.since).toISOString(), reason }
    const isProbing = probe !== undefined && probe.until > now
    return isProbing ? unavailable : { ...unavailable, nextProbe: new Date(probeAt).toISOString() }
  })
}

/** One line, without colours. */
export function unavailableText({ model, since, reason, nextProbe }: UnavailableModel, now = Date.now()): string {
  const wait = nextProbe === undefined ? undefined : Date.parse(nextProbe) - now
  const due = wait && wait > 0 ? `next probe in ${elapsed(wait)}` : 'the next probe is due'
  const next = wait === undefined ? 'a probe is running' : due
  return printable(`${model} unavailable for ${elapsed(Math.max(0, now - Date.parse(since)))}, ${next}: ${reason}`)
}

export const paintUnavailable = (text: string) => styleText('yellow', text)
