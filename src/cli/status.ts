import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import type { Durability } from '../bus/driver.ts'
import { Pauses } from '../bus/pauses.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { dim, tidings } from '../trace/paint.ts'
import { countText, padOrShorten, displayWidth } from '../trace/text.ts'
import { findUnavailable } from '../models/unavailable.ts'
import { failedSince } from '../trace/attention/failed-tasks.ts'
import { listAttention } from '../trace/attention/list.ts'
import { queryIndexOf, withExistingLog } from './log.ts'
import { paintUnavailable, unavailableText } from './unavailable-models.ts'
import { print, type GlobalOptions } from './output.ts'

type Status = Awaited<ReturnType<typeof readStatus>>

export async function statusCommand({ json }: GlobalOptions): Promise<void> {
  const found = await withExistingLog(readStatus)
  await print(json ? JSON.stringify(found) : text(found).join('\n'))
}

async function readStatus(bus: Bus) {
  const [head, durability, groups] = [await bus.head(), await bus.durability(), await bus.listGroups()]
  const paused = (await Pauses.read(bus)).map(({ kind, name }) => `${kind} ${name}`)
  // Models whose provider keeps failing.
  const resting = await findUnavailable(bus, groups)
  const query = queryIndexOf(bus)
  let attention = await query(index => index.failed(failedSince(environment().failedFor)))
  for await (const _ of listAttention(bus, query)) attention++
  // Of agents, tools or models, as far as the broker knows.
  const hasWorker = (await Promise.all(groups.map(({ group }) => bus.hasMembers(group)))).includes(true)
  return { home: environment().home, bus: bus.name, head, durability, groups, paused, resting, attention, hasWorker }
}

function text({ bus, head, durability, groups, paused, resting, attention, hasWorker }: Status): string[] {
  const width = Math.max(5, ...groups.map(({ group }) => displayWidth(group)))
  return [
    `log        ${bus} in ${shownLog(environment())}, head ${head}`,
    `durability ${durabilityText(durability)}`,
    ...(durability.notices ?? []).map(notice => `broker     ${notice}`),
    ...(groups.length > 0 && !hasWorker
      ? [`workers    ${styleText('yellow', `none; start one: ${tidings} run`)}`]
      : []),
    `paused     ${paused.join(', ') || 'nothing'}`,
    ...resting.map(each => `model      ${paintUnavailable(unavailableText(each))}`),
    `attention  ${attention === 0 ? 'nothing' : styleText('yellow', `${countText(attention, 'entry', 'entries')}: ${tidings} attention`)}`,
    '',
    ...(groups.length === 0
      ? [`No worker has used this log yet. Start one: ${tidings} dev`]
      : [dim(`${padOrShorten('group', width)}      lag  in flight`)]),
    ...groups.map(({ group, lag, inFlight }) =>
      [padOrShorten(group, width), String(lag).padStart(8), String(inFlight).padStart(10)].join(' '),
    ),
  ]
}

/** What a resolved publish survives; emphasised if that is not a power cut. */
export function durabilityText({ survives, detail }: Durability): string {
  if (survives === 'power') return `a publish that resolved survives a power cut (${detail})`
  const what = survives === 'process' ? 'SURVIVES A CRASH, NOT A POWER CUT' : 'SURVIVES NOTHING'
  return styleText(['bold', 'yellow'], `A PUBLISH THAT RESOLVED ${what}`) + ` (${detail})`
}
