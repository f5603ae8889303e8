import type { Bus } from '../../bus/bus.ts'
import { correlationOf } from '../../bus/ids.ts'
import type { Effectful, ResolvedEffects, RunOrigin } from '../../replay/effects.ts'
import { planFork, publishFork } from '../../replay/fork.ts'
import { publishRedrive, selectInputs, type InputSelection } from '../../replay/redrive.ts'
import type { App } from '../app.ts'

/** A correlation to repeat, with its events from outside. */
export interface RedrivePart {
  readonly of: string
  readonly events: readonly { id: string; type: string }[]
}

export type PublishedRedrive = Pick<Awaited<ReturnType<typeof publishRedrive>>, 'replay' | 'counterpart'>

/** The tools and models of an app, whose effects a redrive or a fork decides. */
export function effectTargets({ tools, models, agents }: App): Effectful[] {
  const called = agents.flatMap(({ needs }) => needs?.tools ?? []).filter(tool => tool.kind === 'tool')
  const hosted = new Map([...called, ...tools].map(each => [each.name, each]))
  const target = (kind: Effectful['kind'], name: string, options: { readOnly?: boolean; atMostOnce?: boolean }) => {
    const { readOnly = false, atMostOnce = false } = options
    return { kind, name, readOnly, atMostOnce }
  }
  return [
    ...hosted.values().map(({ name, options }) => target('tool', name, options)),
    ...models.map(({ name, options }) => target('model', name, options)),
  ]
}

/** What a redrive repeats, and a function that publishes it. `tenant`: only events of this tenant. @throws E_NOT_FOUND */
export async function planRedrive(
  bus: Bus,
  selection: InputSelection | { readonly task: string },
  types?: readonly string[],
  tenant?: string,
): Promise<{
  readonly parts: readonly RedrivePart[]
  readonly publish: (ruled: ResolvedEffects, origin?: RunOrigin) => Promise<PublishedRedrive>
}> {
  if ('task' in selection) {
    const { task } = selection
    const plan = await planFork(bus, { task, version: 1 })
    return {
      parts: [{ of: correlationOf(task), events: plan.fork.inputs }],
      async publish(ruled, origin) {
        const { replay, correlation } = await publishFork(bus, plan, 'redrive', ruled, origin)
        return { replay, counterpart: () => correlation }
      },
    }
  }
  const found = await selectInputs(bus, selection, types)
  const inputs = tenant === undefined ? found : found.filter(event => event.tenant === tenant)
  const parts = Map.groupBy(inputs, ({ correlationid }) => correlationid)
  return {
    parts: [...parts].map(([of, events]) => ({ of, events })),
    publish: (ruled, origin) => publishRedrive(bus, selection, inputs, ruled, origin),
  }
}
