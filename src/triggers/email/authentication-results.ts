import { BlockList, isIP } from 'node:net'
import { TidingsError } from '../../errors.ts'
import type { AuthenticationResult } from '../../received.ts'
import { type HeaderField, splitSegments } from './fields.ts'

/** A mail server in front, which writes what it found out into Authentication-Results (RFC 8601). */
export interface Relay {
  /** What it calls itself there. */
  authservId: string
  /** Where it connects from: addresses, or networks as `10.0.0.0/8`. */
  addresses: readonly string[]
}

/** Whether who connects from an address may speak as an authserv-id. */
export type TrustsRelay = (remoteAddress: string, authservId: string) => boolean

/** @throws E_APP_INVALID */
export function relayTrust(relays: readonly Relay[] = []): TrustsRelay {
  const known = new Map(relays.map(({ authservId, addresses }) => [authservId.toLowerCase(), listOf(addresses)]))
  return (address, authservId) => {
    const list = known.get(authservId.toLowerCase())
    return list !== undefined && isIP(address) > 0 && list.check(address, familyOf(address))
  }
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

function listOf(addresses: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of addresses) {
    const [address = '', bits, ...rest] = text.split('/')
    const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!
    if (most < 0 || rest.length > 0 || (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= most)))
      throw new TidingsError('E_APP_INVALID', `"${text}" in relays is neither an address nor a network`)
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return list
}

const header = 'authentication-results'

/**
 * What those who are trusted say, and the header fields with `untrusted-` before the name of what others say in their
 * place: anybody can write such a field.
 */
export function applyRelayTrust(
  fields: readonly HeaderField[],
  trusts: (authservId: string) => boolean,
): { headers: HeaderField[]; authentication: AuthenticationResult[] } {
  const authentication: AuthenticationResult[] = []
  const headers = fields.map(field => {
    if (field.name !== header) return field
    const said = parseAuthenticationResults(field.value)
    if (!trusts(said.authservId)) return { ...field, name: `untrusted-${header}` }
    authentication.push(...said.results)
    return field
  })
  return { headers, authentication }
}

/**
 * The id as it is written: one token of ASCII. A relay takes fields of its own name out of a mail from outside, but only where it
 * reads its name. It may not where a comment, quotes or other blanks stand within, or a letter that only looks alike in lower case.
 */
const written = /^[ \t]*([!#-'*+\--:<-[\]-~]+)(?=[ \t(;]|$)/

/**
 * `mx.example.net; spf=pass smtp.mailfrom=example.org; dkim=fail reason="bad signature" header.d=example.org`. The id is empty
 * where it cannot be read for sure.
 */
export function parseAuthenticationResults(value: string): { authservId: string; results: AuthenticationResult[] } {
  const authservId = written.exec(value)?.[1]!.toLowerCase() ?? ''
  const [, ...rest] = splitSegments(value).map(words)
  const results = rest.flatMap(([method, ...about]) => {
    const pairs = about.map(pair)
    const [versioned, result] = pair(method ?? '')
    const name = versioned.split('/')[0]
    if (!name || !result) return []
    const { reason, ...properties } = Object.fromEntries(pairs.filter(([key, of]) => key && of)) as Record<
      string,
      string
    >
    return [{ authservId, method: name, result: result.toLowerCase(), ...(reason && { reason }), properties }]
  })
  return { authservId, results }
}

function pair(word: string): [string, string] {
  const equals = word.indexOf('=')
  return equals < 0 ? ['', ''] : [word.slice(0, equals).toLowerCase(), word.slice(equals + 1)]
}

/** What stands between blanks, without quotes. */
function words(text: string): string[] {
  const found = ['']
  let [quoted, escaped] = [false, false]
  for (const char of text) {
    if (escaped || !((char === '\\' && quoted) || char === '"' || (/\s/.test(char) && !quoted))) {
      found[found.length - 1] += char
      escaped = false
    } else if (char === '\\') escaped = true
    else if (char === '"') quoted = !quoted
    else found.push('')
  }
  return found.filter(Boolean)
}
