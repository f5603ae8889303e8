import type { Bus } from '../bus/bus.ts'

/*
 * How many unfinished tasks agents may have before `ask` refuses further requests: one document of a log, as the newest worker with the role
 * `agents` declared it. Who asks may be another process, which has no code of the agent.
 */

const documentKey = 'agent-limits'

/** The most unfinished tasks, by the name of the agent. */
export type AgentLimits = Readonly<Record<string, number>>

/** Whose tasks are limited, and by what. */
export interface LimitedAgent {
  readonly name: string
  readonly maxUnfinished?: number
}

/** Stores what the agents of an app declare. @throws E_LOG_UNAVAILABLE */
export async function recordAgentLimits(bus: Bus, agents: readonly LimitedAgent[]): Promise<void> {
  const change = (current: AgentLimits = {}) => {
    const next = Object.fromEntries(
      Object.entries(current).filter(([name]) => !agents.some(each => each.name === name)),
    )
    for (const { name, maxUnfinished } of agents) if (maxUnfinished !== undefined) next[name] = maxUnfinished
    const isSame = Object.keys({ ...current, ...next }).every(name => current[name] === next[name])
    return isSame ? undefined : next
  }
  await bus.documents.update<AgentLimits>(documentKey, change, { namesOnly: true })
}

/** @throws E_LOG_UNAVAILABLE */
export const readAgentLimits = async (bus: Bus): Promise<AgentLimits> =>
  (await bus.documents.read<AgentLimits>(documentKey)) ?? {}
