import { operatorIn } from '../tasks/operation.ts'

/** Who published an event: a part of the runtime, a tap, or an operator through the gateway; `other`: an outside publisher. */
export type PublisherKind = 'agent' | 'workflow' | 'tool' | 'model' | 'trigger' | 'tap' | 'operator' | 'other'

export function publisherOf(source: string): { kind: PublisherKind; name: string } {
  const operator = operatorIn(source)
  if (operator) return { kind: 'operator', name: operator.user }
  const [, folder, name] = /^\/(agent|workflow|tool|model|trigger|tap)s\/(.+)$/.exec(source) ?? []
  return { kind: (folder ?? 'other') as PublisherKind, name: name ?? source }
}
