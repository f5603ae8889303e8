export function subset(value: unknown, shape: unknown): unknown {
  if (
    typeof value !== 'object' ||
    value === null ||
    typeof shape !== 'object' ||
    shape === null ||
    Array.isArray(value)
  )
    return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key in shape)
      .map(([key, each]) => [key, subset(each, (shape as Record<string, unknown>)[key])]),
  )
}
