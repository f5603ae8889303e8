/**
 * Merges sequences into one, lowest key first, each sequence in its own order. `source`: which sequence an item is from. Reads
 * no sequence further than its next item.
 */
export async function* mergeSorted<T>(
  sequences: readonly AsyncGenerator<T>[],
  keyOf: (item: T) => number,
): AsyncGenerator<{ readonly source: number; readonly item: T }> {
  const next = await Promise.all(sequences.map(sequence => sequence.next()))
  try {
    for (;;) {
      let source = -1
      let lowest = Infinity
      next.forEach((result, i) => {
        if (result.done || keyOf(result.value) >= lowest) return
        source = i
        lowest = keyOf(result.value)
      })
      if (source < 0) return
      yield { source, item: (next[source] as IteratorYieldResult<T>).value }
      next[source] = await sequences[source]!.next()
    }
  } finally {
    await Promise.all(sequences.map(sequence => sequence.return(undefined)))
  }
}
