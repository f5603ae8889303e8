/** One sequence from several, whose items stay in their order. The oldest of the next ones comes first. */
export async function* mergePartitions<T>(
  sequences: readonly (AsyncIterable<T> | Iterable<T>)[],
  timeOf: (item: T) => number,
): AsyncGenerator<T> {
  const open: { readonly items: AsyncIterator<T> | Iterator<T>; next: T }[] = []
  for (const sequence of sequences) {
    const items = Symbol.asyncIterator in sequence ? sequence[Symbol.asyncIterator]() : sequence[Symbol.iterator]()
    const first = await items.next()
    if (!first.done) open.push({ items, next: first.value })
  }
  try {
    while (open.length > 0) {
      const oldest = open.reduce((best, each) => (timeOf(each.next) < timeOf(best.next) ? each : best))
      yield oldest.next
      const next = await oldest.items.next()
      if (next.done) open.splice(open.indexOf(oldest), 1)
      else oldest.next = next.value
    }
  } finally {
    for (const { items } of open) await items.return?.()
  }
}
