import { isCredentialHeader, withoutCredentials } from './credentials.ts'

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

/** What says where a request goes and where its body ends. A proxy that drops them makes another request. */
const ofMessage: ReadonlySet<string> = new Set(['host', 'content-length'])

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
  for (const name of ofMessage) dropped.delete(name)
  return [...headerPairs(raw)].flatMap(pair => (dropped.has(pair[0].toLowerCase()) ? [] : pair))
}

/** The headers that may be recorded: none with a credential. Names in lower case; a repeated header is joined. */
export function recordedHeaders(raw: RawHeaders): Record<string, string> {
  const found = new Map<string, string>()
  for (const [name, value] of headerPairs(raw)) {
    const key = name.toLowerCase()
    if (isCredentialHeader(key)) continue
    const before = found.get(key)
    const shown = withoutCredentials(value)
    found.set(key, before === undefined ? shown : `${before}, ${shown}`)
  }
  return Object.fromEntries(found)
}
