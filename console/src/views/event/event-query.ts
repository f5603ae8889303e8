import type { EventSource } from '../../api/source.tsx'

/** An event with its data. */
export const eventQuery = (source: EventSource, id: string) => ({
  queryKey: ['event', source.id, id],
  queryFn: ({ signal }: { signal: AbortSignal }) => source.event(id, signal),
  networkMode: source.networkMode,
  // What is on the log does not change.
  staleTime: Infinity,
})
