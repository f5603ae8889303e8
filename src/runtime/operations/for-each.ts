const maxConcurrent = 8

/** Does something for each entry, a few at a time. After an error no other entry is begun; rejects with it when those that were begun have ended. */
export async function forEachOf<T>(entries: Iterable<T>, action: (entry: T) => Promise<void>): Promise<void> {
  const next = Iterator.from(entries)
  let hasFailed = false
  const work = async () => {
    for (let entry = next.next(); !entry.done && !hasFailed; entry = next.next())
      try {
        await action(entry.value)
      } catch (error) {
        hasFailed = true
        throw error
      }
  }
  const ended = await Promise.allSettled(Array.from({ length: maxConcurrent }, work))
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}
