/*
 * What tools do to values: they change their input, give back parts of it, and keep what they were given and what they gave,
 * to change it later.
 */

type Fields = Record<string, unknown>

const cache: Fields = { total: 100, lines: [{ n: 1 }, { n: 2 }] }
const kept: unknown[] = []
const mostKept = 64

export const tools = {
  /** Always the same object. */
  cached: () => cache,
  order: () => ({ total: 100, at: new Date(0), url: new URL('https://a.example/'), nothing: undefined }),
  echo(input: unknown) {
    if (typeof input === 'object' && input !== null) Object.assign(input, { seen: true })
    return input
  },
  part: (input: unknown) =>
    typeof input === 'object' && input !== null ? (Object.values(input)[0] ?? null) : [input, input],
  /** Changes what it was given and gave in earlier calls. */
  hoarder(input: unknown) {
    for (const each of kept) if (typeof each === 'object' && each !== null) Object.assign(each, { stolen: true })
    const output = { ok: true, of: input }
    kept.push(input, output)
    kept.splice(0, kept.length - mostKept)
    return output
  },
  map: () => new Map([['total', 1]]),
} satisfies Record<string, (input: unknown) => unknown>

export type ToolName = keyof typeof tools
