/** Which part of the runtime published an event; `other`: none. */
export type Publisher = 'agent' | 'workflow' | 'tool' | 'model' | 'trigger' | 'other'

/** Who published an event, by its source. */
export function publisherOf(source: string): { kind: Publisher; name: string } {
  const [, folder, name] = /^\/(agent|workflow|tool|model|trigger)s\/(.+)$/.exec(source) ?? []
  return { kind: (folder ?? 'other') as Publisher, name: name ?? source }
}
