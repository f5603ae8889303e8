import type { Bus } from '../../src/bus/bus.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { ModelStation } from '../../src/models/station.ts'
import { publishWorkflows } from '../../src/tasks/definitions.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import type { ProgramDefinition } from '../../src/tasks/program.ts'
import { ToolStation } from '../../src/tools/station.ts'
import type { Story } from './story.ts'
import { task } from './task.ts'
import { trip } from './trip.ts'

export const stories = { task, trip } satisfies Record<string, Story>
export type StoryName = keyof typeof stories

export interface HostOptions {
  bus: Bus
  story: StoryName
  /** The folder in which tools record their effects. */
  home: string
  /** Tasks are not cached: each turn starts from the journal. */
  cold: boolean
  /** Repeated inputs are accepted. */
  dropDedup?: boolean
}

/** Starts agents, workflows, tools and models in this process. */
export async function host({ bus, story, home, cold, dropDedup }: HostOptions): Promise<() => Promise<void>> {
  const pauses = new Pauses(bus)
  await pauses.start()
  const { tools, models, agents }: Story = stories[story]
  for (const { needs } of agents) if (needs) await bus.driver.putDocument(needs.key, JSON.stringify(needs.document), 0)
  await publishWorkflows(bus, programsOf(story))
  const stations = [
    new ToolStation({ bus, tools: tools(home), pauses }),
    new ModelStation({ bus, models, pauses }),
    engineOf(bus, story, pauses, cold, dropDedup),
  ]
  for (const station of stations) await station.start()
  return async () => {
    pauses.stop()
    for (const station of stations.toReversed()) await station.stop()
  }
}

/** The engine; its group is there from the moment at which it is provisioned. */
export function engineOf(
  bus: Bus,
  story: StoryName,
  pauses = new Pauses(bus),
  cold = false,
  dropDedup = false,
): Engine {
  return new Engine({
    bus,
    group: 'app/boundaries',
    programs: programsOf(story),
    maxHops: 8,
    budget: defaultBudget,
    pauses,
    ...(cold && { maxCachedTasks: 0 }),
    ...(dropDedup && { classifyInput: () => 'accept' as const }),
  })
}

export function programsOf(name: StoryName): ProgramDefinition[] {
  const { agents, workflows = [] }: Story = stories[name]
  return [...agents, ...workflows].map(({ definition }) => definition)
}
