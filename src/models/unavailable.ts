import type { Bus } from '../bus/bus.ts'
import type { GroupState } from '../bus/driver.ts'
import { namesOfGroups } from '../tasks/hosts.ts'
import { readCircuit } from './circuit.ts'

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
