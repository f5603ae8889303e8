/** What one connection says about itself, and no proxy passes on. Source: RFC 9110, section 7.6.1. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** Names and values in turn, as in `rawHeaders` of Node: in the order and the case in which they were sent. */
export type RawHeaders = readonly string[]

export function* headerPairs(raw: RawHeaders): Generator<[name: string, value: string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i]!, raw[i + 1]!]
}

/** The headers that are meant for the other end, without those that `Connection` names. */
export function endToEndHeaders(raw: RawHeaders): string[] {
  const dropped = new Set(hopByHop)
  for (const [name, value] of headerPairs(raw))
    if (name.toLowerCase() === 'connection') for (const each of value.split(',')) dropped.add(each.trim().toLowerCase())
  return [...headerPairs(raw)].flatMap(pair => (dropped.has(pair[0].toLowerCase()) ? [] : pair))
}

const credential = /auth|cookie|token|secret|(^|[-_])key|pass|cred|session|jwt|assertion|signature/i
const notACredential = /^(idempotency-key|x-ratelimit-.*|anthropic-ratelimit-.*)$/i

/** The headers that may be recorded: none with a credential. Names in lower case; a repeated header is joined. */
export function recordedHeaders(raw: RawHeaders): Record<string, string> {
  const found = new Map<string, string>()
  for (const [name, value] of headerPairs(raw)) {
    const key = name.toLowerCase()
    if (credential.test(key) && !notACredential.test(key)) continue
    const before = found.get(key)
    found.set(key, before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(found)
}
