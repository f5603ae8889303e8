import type { Bus } from '../bus/bus.ts'
import { hasWorker } from '../tasks/hosts.ts'
import { targetsIn } from '../workflows/definition-tree.ts'
import type { App } from './app.ts'

/** A tool, agent or workflow that a member of an app declares to call. Straight-line code declares nothing. */
interface DeclaredCall {
  readonly kind: 'tool' | 'agent' | 'workflow'
  readonly name: string
  readonly by: string
}

function declaredCalls({ agents, workflows }: App): DeclaredCall[] {
  return [
    ...agents.flatMap(({ name, needs }) =>
      (needs?.tools ?? []).map(tool => {
        const { kind, name: called } = tool.kind === 'handover' ? tool.to : tool
        return { kind, name: called, by: `agent "${name}"` }
      }),
    ),
    ...workflows.flatMap(({ name, data }) =>
      targetsIn(data.steps).map(target => ({ ...target, by: `workflow "${name}"` })),
    ),
  ]
}

/** What an app calls and neither it nor a running worker on the log hosts, as one text; undefined if there is nothing. */
export async function unhostedText(app: App, bus: Bus): Promise<string | undefined> {
  const tools = new Set(app.tools.map(({ name }) => name))
  const programs = new Set(app.programs.map(({ name }) => name))
  const missing = new Map<string, string>()
  for (const { kind, name, by } of declaredCalls(app)) {
    const what = `the ${kind} "${name}"`
    if ((kind === 'tool' ? tools : programs).has(name) || missing.has(what)) continue
    // If the broker does not say it, the warning is better than silence.
    if (!(await hasWorker(bus, kind === 'tool' ? 'tool' : 'agent', name).catch(() => false))) missing.set(what, by)
  }
  if (missing.size === 0) return undefined
  const list = [...missing].map(([what, by]) => `${what}, which ${by} calls`).join('; ')
  return `Neither this app nor a running worker on this log hosts ${list}. Calls wait until a worker does, or their timeout: add it to \`use\`, or start that worker.`
}
