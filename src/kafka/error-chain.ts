/** An error, its causes, and what it gathers: the client wraps what a broker answered in the list of its attempts. */
export function* errorChain(error: unknown): Generator<Error & { code?: string; apiId?: unknown }> {
  if (!(error instanceof Error)) return
  yield error
  if (error instanceof AggregateError) for (const each of error.errors) yield* errorChain(each)
  yield* errorChain(error.cause)
}
