import { TidingsError } from '../errors.ts'

/** Where a tap forwards to: an origin, and the path below which it forwards. */
export interface Upstream {
  readonly url: URL
  /** Without the slash at its end: `` for the whole origin. */
  readonly basePath: string
}

/** @throws E_SETTING_INVALID */
export function upstreamOf(text: string): Upstream {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const problem = url ? problemOf(url) : 'is not a URL'
  if (!url || problem !== undefined)
    throw new TidingsError('E_SETTING_INVALID', `the upstream "${withoutPassword(text)}" ${problem}`, {
      next: 'Give the base URL of the service, such as https://api.openai.com/v1.',
    })
  return { url, basePath: url.pathname.replace(/\/+$/, '') }
}

function problemOf({ protocol, username, password, search, hash }: URL): string | undefined {
  if (protocol !== 'http:' && protocol !== 'https:') return `has the protocol "${protocol}"; expected http: or https:`
  if (username || password) return 'contains credentials: clients send their own'
  return search || hash ? 'has a query or a fragment; expected neither' : undefined
}

const withoutPassword = (text: string) => text.replace(/\/\/[^/@]*@/, '//…@')

// Servers differ in when they decode, so an encoded slash or dot counts like a plain one.
const dotSegment = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\]|%2f|%5c)/i

/**
 * Why a request may not be forwarded; undefined if it may. A tap is no open proxy: the target is a path, and below that of the upstream.
 */
export function refusalOf(target: string, { basePath }: Pick<Upstream, 'basePath'>): string | undefined {
  if (!target.startsWith('/') || target.startsWith('//'))
    return 'the request target must be a path: a tap forwards to its own upstream only'
  const path = target.split('?', 1)[0]!
  if (basePath === '') return undefined
  if (dotSegment.test(path)) return 'the path contains "." or ".." as a segment'
  if (path === basePath || path.startsWith(`${basePath}/`)) return undefined
  return `the path is not below "${basePath}": add it to the base URL of the client`
}
