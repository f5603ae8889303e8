const maxConcurrent = 8

/** Does something for each entry, a few at a time. Rejects with the first error; entries that were begun then still end. */
export async function forEachOf<T>(entries: Iterable<T>, action: (entry: T) => Promise<void>): Promise<void> {
  const next = Iterator.from(entries)
  const work = async () => {
    for (const entry of next) await action(entry)
  }
  await Promise.all(Array.from({ length: maxConcurrent }, work))
}
