import type { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { Turn } from '../../src/tasks/program.ts'
import type { Verdict } from './verify.ts'

/** Printed when the verdict is not clean. */
export interface Evidence {
  /** All events of the first tasks that are unfinished and of the first instances that emitted nothing. */
  histories: string[][]
  /** Deferred deliveries with their reasons. */
  attention: string[]
  /** Tasks that are due and were not woken. */
  overdue: string[]
  groups: string[]
}

const maxHistories = 3

export async function evidenceOf(bus: Bus, { unfinished, unwatched }: Verdict): Promise<Evidence> {
  const correlations = new Set(unfinished.slice(0, maxHistories))
  const numbers = unwatched.slice(0, maxHistories)
  if (numbers.length > 0)
    for await (const { event } of bus.read({}))
      if (/^(kill.started|workflow.event)$/.test(event.type) && numbers.includes(numberOf(event)))
        correlations.add(event.correlationid)
  const { driver } = bus
  const attention = (await Array.fromAsync(driver.listDeferred())).map(entry => JSON.stringify(entry).slice(0, 500))
  return {
    histories: await Promise.all([...correlations].map(correlation => historyOf(bus, correlation))),
    attention,
    overdue: (await Array.fromAsync(driver.missedWakes(Date.now()))).map(entry => JSON.stringify(entry)),
    groups: (await driver.listGroups()).map(group => JSON.stringify(group)),
  }
}

function numberOf({ data }: CloudEvent): number {
  const { n, event } = data as { n?: number; event?: { data: { n: number } } }
  return n ?? event!.data.n
}

async function historyOf(bus: Bus, correlation: string): Promise<string[]> {
  const events = await Array.fromAsync(bus.read({ correlation }))
  return events.map(({ position, event }) =>
    [position.offset, event.time, event.type, event.id, ...summaryOf(event)].join(' '),
  )
}

function summaryOf({ type, data, call }: CloudEvent): string[] {
  if (type !== 'task.turn') return call === undefined ? [] : [`to ${call}`]
  const { inputs, emits, wake, end } = data as Turn
  return [`inputs ${inputs.map(({ id }) => id).join(',')}`, `emits ${emits.map(({ type }) => type).join(',')}`, `wake ${wake}`, `end ${end}`] // biome-ignore format: one line
}
