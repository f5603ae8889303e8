/** The name in `_meta` under which a client says that two calls are one. */
export const idempotencyKeyName = 'tidings/idempotencyKey'
