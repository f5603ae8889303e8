/** A promise that knows whether the code ever awaited it. */
export class TrackedPromise<T> extends Promise<T> {
  isAwaited = false

  static override get [Symbol.species]() {
    return Promise
  }

  /** Prevents an unhandled rejection. Does not count as awaiting. */
  ignoreFailure(): void {
    super.then(undefined, () => {}).catch(() => {})
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise, and `await` calls this
  override then<A = T, B = never>(
    resolved?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isAwaited = true
    return super.then(resolved, rejected)
  }
}
