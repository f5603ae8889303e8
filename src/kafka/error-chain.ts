/** An error, its causes, and what it gathers: the client wraps what a broker answered in the list of its attempts. */
export function* errorChain(
  error: unknown,
  seen = new Set<unknown>(),
): Generator<Error & { code?: string; apiId?: unknown }> {
  if (!(error instanceof Error) || seen.has(error)) return
  seen.add(error)
  yield error
  if (error instanceof AggregateError) for (const each of error.errors) yield* errorChain(each, seen)
  yield* errorChain(error.cause, seen)
}
