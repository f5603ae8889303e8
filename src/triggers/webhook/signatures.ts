import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { httpError } from '../../http/response.ts'

/*
 * Who signs how. All are HMAC-SHA256 over the bytes of the body; they differ in what is signed besides, and how it is written.
 * Sources: Standard Webhooks 1.0.0; "Validating webhook deliveries" (GitHub); "Verify webhook signatures manually" (Stripe).
 */

export interface SignedRequest {
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
}

export interface SignatureScheme {
  /** What a secret is as the key of the HMAC; undefined where it cannot be one. */
  key(secret: string): Buffer | undefined
  /** What a secret looks like, for people. */
  readonly secret: string
  /** When it was signed, in ms since the epoch; undefined where that is not signed. @throws 401 */
  verify(signed: SignedRequest, keys: readonly Buffer[]): number | undefined
  /** The headers that go with a body, signed now. */
  sign(bytes: Buffer, key: Buffer, id: string): Record<string, string>
}

const standard: SignatureScheme = {
  secret: 'Base64 of at least 24 bytes, mostly with whsec_ before it',
  key(secret) {
    const text = secret.replace(/^whsec_/, '')
    const key = Buffer.from(text, 'base64')
    return key.length >= 24 && key.toString('base64') === text ? key : undefined
  },
  verify({ headers, bytes }, keys) {
    const prefix = standardPrefix(headers)
    const [id, at] = [needed(headers, `${prefix}-id`), needed(headers, `${prefix}-timestamp`)]
    // With a dot in the id, the same text would be signed for another id, time and body.
    if (!/^[!-\-/-~]{1,256}$/.test(id) || !isTime(at))
      throw unsigned(`${prefix}-id or ${prefix}-timestamp is malformed`)
    const given = standardSignatures(needed(headers, `${prefix}-signature`))
    assertSigned(given, keys, key => hmac(key, `${id}.${at}.`, bytes).digest('base64'))
    return Number(at) * 1_000
  },
  sign(bytes, key, id) {
    const at = String(secondsNow())
    const signature = hmac(key, `${id}.${at}.`, bytes).digest('base64')
    return { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature}` }
  },
}

const github: SignatureScheme = {
  secret: 'a text',
  key: textKey,
  verify({ headers, bytes }, keys) {
    const given = /^sha256=([0-9a-f]{64})$/.exec(needed(headers, 'x-hub-signature-256'))
    assertSigned(given ? [given[1]!] : [], keys, key => hmac(key, '', bytes).digest('hex'))
    return undefined
  },
  sign(bytes, key, id) {
    const signature = hmac(key, '', bytes).digest('hex')
    return { 'x-github-delivery': id, 'x-github-event': 'ping', 'x-hub-signature-256': `sha256=${signature}` }
  },
}

const stripe: SignatureScheme = {
  secret: 'a text, mostly with whsec_ before it',
  key: textKey,
  verify({ headers, bytes }, keys) {
    const { at, signatures } = stripeSignature(needed(headers, 'stripe-signature'))
    if (at === undefined) throw unsigned('stripe-signature has not exactly one time')
    assertSigned(signatures, keys, key => hmac(key, `${at}.`, bytes).digest('hex'))
    return Number(at) * 1_000
  },
  sign(bytes, key) {
    const at = String(secondsNow())
    return { 'stripe-signature': `t=${at},v1=${hmac(key, `${at}.`, bytes).digest('hex')}` }
  },
}

/** How the names of the headers begin: as the standard says, else as Svix calls them, never one of each. */
export const standardPrefix = (headers: IncomingHttpHeaders) =>
  headers['webhook-id'] === undefined && headers['svix-id'] !== undefined ? 'svix' : 'webhook'

export const signatures = { standard, github, stripe }

/** `v1,BASE64 v1,BASE64 …`: those of version 1. Other versions are other algorithms. */
export const standardSignatures = (header: string): string[] =>
  header.split(' ').flatMap(each => (each.startsWith('v1,') ? [each.slice(3)] : []))

/** `t=SECONDS,v1=HEX,v1=HEX,v0=…`: the time, where there is exactly one, and the signatures of version 1. */
export function stripeSignature(header: string): { at?: string; signatures: string[] } {
  const parts = header.split(',').map(part => part.trim())
  const of = (name: string) => parts.flatMap(part => (part.startsWith(`${name}=`) ? [part.slice(name.length + 1)] : []))
  const [at, ...others] = of('t')
  return {
    signatures: of('v1').filter(hex => /^[0-9a-f]{64}$/.test(hex)),
    ...(at !== undefined && others.length === 0 && isTime(at) && { at }),
  }
}

function textKey(secret: string): Buffer | undefined {
  return secret.trim() === '' ? undefined : Buffer.from(secret)
}

const hmac = (key: Buffer, before: string, bytes: Buffer) => createHmac('sha256', key).update(before).update(bytes)

const isTime = (seconds: string) => /^\d{1,12}$/.test(seconds)

const secondsNow = () => Math.floor(Date.now() / 1_000)

function assertSigned(given: readonly string[], keys: readonly Buffer[], expected: (key: Buffer) => string): void {
  const candidates = given.map(each => Buffer.from(each))
  for (const key of keys) {
    const wanted = Buffer.from(expected(key))
    if (candidates.some(each => each.length === wanted.length && timingSafeEqual(each, wanted))) return
  }
  throw unsigned('no signature fits the body')
}

function needed(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name]
  if (typeof value !== 'string' || value === '') throw unsigned(`${name} is missing`)
  return value
}

const unsigned = (why: string) => httpError(401, why, 'E_SIGNATURE_INVALID')
