import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import type { Durability, GroupState } from '../bus/driver.ts'
import { pausedBy, Pauses } from '../bus/pauses.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { count, dim, fit, widthOf } from '../trace/text.ts'
import { allAttentionOf } from './attention-list.ts'
import { failedSince } from './failed.ts'
import { ask, withExistingLog } from './log.ts'
import { paintResting, restingOn, restingText, type Resting } from './resting.ts'
import { say, type Globals } from './out.ts'

interface Status {
  home: string
  bus: string
  head: number
  durability: Durability
  groups: GroupState[]
  paused: string[]
  /** Models whose provider is away. */
  resting: Resting[]
  attention: number
  /** Whether a worker that hosts agents, tools or models runs, as far as the broker knows. */
  hasWorker: boolean
}

/** `tidings status` */
export async function status({ json }: Globals): Promise<void> {
  const found = await withExistingLog(statusOf)
  await say(json ? JSON.stringify(found) : text(found).join('\n'))
}

async function statusOf(bus: Bus): Promise<Status> {
  const { driver } = bus
  const [head, durability, groups, paused] = [
    await driver.head(),
    await driver.durability(),
    await driver.listGroups(),
    await pausedIn(bus),
  ]
  const resting = await restingOn(bus, groups)
  let attention = await ask(bus, index => index.failed(failedSince()))
  for await (const _ of allAttentionOf(bus)) attention++
  const hasWorker = (await Promise.all(groups.map(({ group }) => driver.hasMembers(group)))).includes(true)
  return { home: environment().home, bus: driver.name, head, durability, groups, paused, resting, attention, hasWorker }
}

async function pausedIn(bus: Bus): Promise<string[]> {
  const pauses = new Pauses(bus)
  await pauses.start()
  pauses.stop()
  return pauses.list.map(key => Object.values(pausedBy(key) ?? { key }).join(' '))
}

function text({ bus, head, durability, groups, paused, resting, attention, hasWorker }: Status): string[] {
  const width = Math.max(5, ...groups.map(({ group }) => widthOf(group)))
  return [
    `log        ${bus} in ${shownLog(environment())}, head ${head}`,
    `durability ${durabilityText(durability)}`,
    ...(groups.length > 0 && !hasWorker ? [`workers    ${styleText('yellow', 'none is running: tidings run')}`] : []),
    `paused     ${paused.join(', ') || 'nothing'}`,
    ...resting.map(each => `model      ${paintResting(restingText(each))}`),
    `attention  ${attention === 0 ? 'nothing' : styleText('yellow', `${count(attention, 'entry', 'entries')}: tidings attention`)}`,
    '',
    ...(groups.length === 0
      ? ['No worker has been here yet: tidings dev']
      : [dim(`${fit('group', width)}      lag  in flight`)]),
    ...groups.map(
      ({ group, lag, inFlight }) => `${fit(group, width)} ${String(lag).padStart(8)} ${String(inFlight).padStart(10)}`,
    ),
  ]
}

/** How safe a resolved publish is, loud where that is less than it could be. */
export function durabilityText({ survives, detail }: Durability): string {
  if (survives === 'power') return `a publish that resolved survives a power cut (${detail})`
  const what = survives === 'process' ? 'SURVIVES A CRASH, NOT A POWER CUT' : 'SURVIVES NOTHING'
  return styleText(['bold', 'yellow'], `A PUBLISH THAT RESOLVED ${what}`) + ` (${detail})`
}
