import { BlockList, isIP } from 'node:net'
import { TidingsError } from '../../errors.ts'
import type { AuthenticationResult } from '../../received.ts'
import { type HeaderField, splitSegments } from './fields.ts'

/** A mail server in front that reports its checks in Authentication-Results (RFC 8601). */
export interface Relay {
  /** Its name in that header. */
  authservId: string
  /** Where it connects from: addresses, or networks such as `10.0.0.0/8`. */
  addresses: readonly string[]
}

/** Whether a client with this address may report as this authserv-id. */
export type TrustsRelay = (remoteAddress: string, authservId: string) => boolean

/** @throws E_APP_INVALID */
export function relayTrust(relays: readonly Relay[] = []): TrustsRelay {
  const known = new Map(relays.map(({ authservId, addresses }) => [authservId.toLowerCase(), toBlockList(addresses)]))
  return (address, authservId) => {
    const list = known.get(authservId.toLowerCase())
    return list !== undefined && isIP(address) > 0 && list.check(address, familyOf(address))
  }
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

function toBlockList(addresses: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of addresses) {
    const [address = '', bits, ...rest] = text.split('/')
    const maxBits = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!
    if (maxBits < 0 || rest.length > 0 || (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= maxBits)))
      throw new TidingsError(
        'E_APP_INVALID',
        `invalid address "${text}" in relays: expected an IP address or a network such as 10.0.0.0/8`,
      )
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return list
}

const header = 'authentication-results'

/**
 * The results of trusted relays, and all header fields. Anyone can write such a field, so those of others get the prefix
 * `untrusted-`.
 */
export function applyRelayTrust(
  fields: readonly HeaderField[],
  trusts: (authservId: string) => boolean,
): { headers: HeaderField[]; authentication: AuthenticationResult[] } {
  const authentication: AuthenticationResult[] = []
  const headers = fields.map(field => {
    if (field.name !== header) return field
    const parsed = parseAuthenticationResults(field.value)
    if (!trusts(parsed.authservId)) return { ...field, name: `untrusted-${header}` }
    authentication.push(...parsed.results)
    return field
  })
  return { headers, authentication }
}

/**
 * The id as one ASCII token. A relay removes forged fields with its own name, but may miss a name with a comment, quotes,
 * unusual blanks or look-alike letters. Such an id is not accepted.
 */
const authservIdForm = /^[ \t]*([!#-'*+\--:<-[\]-~]+)(?=[ \t(;]|$)/

/**
 * `mx.example.net; spf=pass smtp.mailfrom=example.org; dkim=fail reason="bad signature" header.d=example.org`. The id is empty
 * if it is ambiguous.
 */
export function parseAuthenticationResults(value: string): { authservId: string; results: AuthenticationResult[] } {
  const authservId = authservIdForm.exec(value)?.[1]!.toLowerCase() ?? ''
  const [, ...rest] = splitSegments(value).map(words)
  const results = rest.flatMap(([method, ...about]) => {
    const pairs = about.map(pair)
    const [versioned, result] = pair(method ?? '')
    const name = versioned.split('/')[0]
    if (!name || !result) return []
    const named = Object.fromEntries(pairs.filter(([key, of]) => key && of)) as Record<string, string>
    const { reason, ...properties } = named
    return [{ authservId, method: name, result: result.toLowerCase(), ...(reason && { reason }), properties }]
  })
  return { authservId, results }
}

function pair(word: string): [string, string] {
  const equals = word.indexOf('=')
  return equals < 0 ? ['', ''] : [word.slice(0, equals).toLowerCase(), word.slice(equals + 1)]
}

/** Splits at blanks and removes quotes. */
const words = (text: string) =>
  (text.match(/(?:"(?:\\.|[^"\\])*(?:"|\\?$)|[^\s"])+/gs) ?? []).map(withoutQuotes).filter(Boolean)

const withoutQuotes = (word: string) =>
  word.replace(/"((?:\\.|[^"\\])*)(?:"|\\?$)/gs, (_, quoted: string) => quoted.replace(/\\(.)/gs, '$1'))
