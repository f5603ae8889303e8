/* Templates of addresses: RFC 6570, level 1. */

/** The names of the variables, in their order. None: it is an address. */
export const templateVariables = (template: string): string[] =>
  [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)

/** The values with which a template is this address; undefined if it is another one. */
export function variablesIn(template: string, uri: string): Record<string, string> | undefined {
  const names = templateVariables(template)
  const parts = template.split(/\{\w+\}/).map(text => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  const found = new RegExp(`^${parts.join('([^/?#]+)')}$`).exec(uri)
  if (!found) return undefined
  try {
    return Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(found[i + 1]!)]))
  } catch {
    return undefined
  }
}
