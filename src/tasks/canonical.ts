/** The canonical JSON of a value, with its keys sorted by UTF-16 code units. Source: RFC 8785, section 3.2.3. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(',')}}`
}

/** The first path at which two values differ, such as `$.lines[2].price`; undefined if they are the same JSON. */
export function differenceBetween(one: unknown, other: unknown, path = '$'): string | undefined {
  if (one === other) return undefined
  if (Array.isArray(one) && Array.isArray(other)) {
    if (one.length !== other.length) return path
    const differences = one.keys().map(i => differenceBetween(one[i], other[i], `${path}[${i}]`))
    return differences.find(found => found !== undefined)
  }
  if (!isRecord(one) || !isRecord(other) || !isOfOneKind(one, other)) return path
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  const differences = keys.values().map(key => differenceBetween(one[key], other[key], `${path}.${key}`))
  return differences.find(found => found !== undefined)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isOfOneKind = (one: object, other: object) => Object.getPrototypeOf(one) === Object.getPrototypeOf(other)
