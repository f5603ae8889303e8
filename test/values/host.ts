import type { Bus } from '../../src/bus/bus.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import { ToolStation } from '../../src/tools/station.ts'
import { hostedTools, programs } from './app.ts'

export interface Roles {
  readonly agents: boolean
  readonly tools: boolean
  /** Nothing stays in memory: each turn begins with the journal. */
  readonly cold: boolean
}

/** Hosts the app on a bus. Resolves with what stops it. */
export async function host(bus: Bus, { agents, tools, cold }: Roles): Promise<() => Promise<void>> {
  const pauses = new Pauses(bus)
  await pauses.start()
  const stations = [
    ...(tools ? [new ToolStation({ bus, tools: hostedTools, pauses })] : []),
    ...(agents
      ? [
          new Engine({
            bus,
            group: 'app/values',
            programs,
            maxHops: 8,
            budget: defaultBudget,
            pauses,
            ...(cold && { maxCachedTasks: 0 }),
          }),
        ]
      : []),
  ]
  for (const station of stations) await station.start()
  return async () => {
    pauses.stop()
    for (const station of stations) await station.stop()
  }
}
