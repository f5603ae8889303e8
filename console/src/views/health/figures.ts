import type { Activity } from '../../../../src/trace/rates.ts'
import type { Declared } from '../../api/shapes.ts'
import type { Group } from './health-feed.ts'

const minuteMs = 60_000

/** What a group did in the last minute. */
export interface Figures {
  /** Answers of a tool or model, turns of the tasks of an app. */
  readonly perMinute: number
  readonly failed: number
  readonly retries?: number
  readonly p95?: number
  /** The search of the live view that lists what a number counts. */
  rows(number: 'rate' | 'failed' | 'retries'): Readonly<Record<string, string>>
}

/** Undefined if nothing is known: the group did nothing, or its app is not declared. */
export function figuresOf(
  { kind, name }: Group,
  { tools, models, programs }: Activity,
  declared: readonly Declared[],
  at: string,
): Figures | undefined {
  const since = new Date(Date.parse(at) - minuteMs).toISOString()
  if (kind === 'tool' || kind === 'model') {
    const service = (kind === 'tool' ? tools : models).find(each => each.name === name)
    if (!service) return undefined
    const { calls, failed, retries, p95 } = service
    const types = { rate: `${kind}.result ${kind}.failed`, failed: `${kind}.failed`, retries: `${kind}.delayed` }
    const rows = (number: keyof typeof types) => ({ source: `/${kind}s/${name}`, type: types[number], since })
    return { perMinute: calls, failed, retries, ...(calls > 0 && { p95 }), rows }
  }
  const own = new Set(declared.flatMap(({ app, name: program }) => (app === name ? [program] : [])))
  if (kind !== 'app' || own.size === 0) return undefined
  const counted = programs.filter(program => own.has(program.name))
  const sum = (number: 'turns' | 'failed') => counted.reduce((all, program) => all + program[number], 0)
  const types = { rate: 'task.turn', failed: 'agent.task.failed', retries: 'agent.retry' }
  return { perMinute: sum('turns'), failed: sum('failed'), rows: number => ({ type: types[number], since }) }
}
