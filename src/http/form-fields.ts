/** The fields of a query or a form by name. A repeated field becomes a list. */
export function formFields(given: URLSearchParams): Record<string, string | string[]> {
  const fields = new Map<string, string[]>()
  for (const [name, value] of given) if (!fields.get(name)?.push(value)) fields.set(name, [value])
  return Object.fromEntries([...fields].map(([name, values]) => [name, values.length === 1 ? values[0]! : values]))
}
