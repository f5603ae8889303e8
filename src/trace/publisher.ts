/** Part of the runtime that published an event; `other`: an outside publisher. */
export type PublisherKind = 'agent' | 'workflow' | 'tool' | 'model' | 'trigger' | 'other'

export function publisherOf(source: string): { kind: PublisherKind; name: string } {
  const [, folder, name] = /^\/(agent|workflow|tool|model|trigger)s\/(.+)$/.exec(source) ?? []
  return { kind: (folder ?? 'other') as PublisherKind, name: name ?? source }
}
