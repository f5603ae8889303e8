import type { Bus } from '../bus/bus.ts'
import { correlationFrom } from '../bus/ids.ts'
import { tapGapType, tapSource, tapTarget, type TapGap } from '../bus/tapped.ts'
import type { TapInstance } from './instances.ts'

/* What a tap could not record, as it says on the log itself. A report has a fixed id, so that it counts once. */

const gapId = ({ tap, id }: TapInstance, report: number | 'lost') => `${tapTarget(tap)}:${id}:gap:${report}`
const gapCorrelation = (tap: string) => correlationFrom(`${tapTarget(tap)}\0gap`)

/** `report`: its number in the process; `lost`: that of the next process, when this one has died. */
export async function publishGap(
  bus: Bus,
  instance: TapInstance,
  report: number | 'lost',
  data: TapGap,
): Promise<void> {
  const { tap } = instance
  const about = { source: tapSource(tap), subject: tap, correlationid: gapCorrelation(tap) }
  await bus.publish({ id: gapId(instance, report), type: tapGapType, ...about, data })
}

/** A report that is on the log. */
export async function readGap(bus: Bus, instance: TapInstance, report: number): Promise<TapGap | undefined> {
  const event = await bus.get(gapId(instance, report), gapCorrelation(instance.tap))
  return event && ((await bus.resolveIfStored(event)).data as TapGap)
}
