/** An answer that is waited for. It knows whether the code ever looked at it. */
export class TrackedPromise<T> extends Promise<T> {
  isAwaited = false

  static override get [Symbol.species]() {
    return Promise
  }

  /** Its failure may be nobody's. This does not count as looking at it. */
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
