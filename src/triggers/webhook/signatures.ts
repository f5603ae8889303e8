import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { httpError } from '../../http/response.ts'

/*
 * The signature schemes. All are HMAC-SHA256 over the bytes of the body; they differ in what else is signed and in notation.
 * Sources: Standard Webhooks 1.0.0; "Validating webhook deliveries" (GitHub); "Verify webhook signatures manually" (Stripe).
 */

export interface SignedRequest {
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
}

export interface SignatureScheme {
  /** The HMAC key of a secret; undefined if the secret is malformed. */
  key(secret: string): Buffer | undefined
  /** Describes a secret, for error texts. */
  readonly secretForm: string
  /** The signed time, in ms since the epoch; undefined if the scheme signs none. @throws 401 */
  verify(signed: SignedRequest, keys: readonly Buffer[]): number | undefined
  /** The headers for a body that is signed now. */
  sign(bytes: Buffer, key: Buffer, id: string): Record<string, string>
}

const standard: SignatureScheme = {
  secretForm: 'Base64 of at least 24 bytes, usually with the prefix whsec_',
  key(secret) {
    const text = secret.replace(/^whsec_/, '')
    const key = Buffer.from(text, 'base64')
    return key.length >= 24 && key.toString('base64') === text ? key : undefined
  },
  verify({ headers, bytes }, keys) {
    const prefix = standardPrefix(headers)
    const [id, at] = [requiredHeader(headers, `${prefix}-id`), requiredHeader(headers, `${prefix}-timestamp`)]
    // A dot in the id would let the same signed text stand for another id, time and body.
    if (!/^[!-\-/-~]{1,256}$/.test(id) || !isTime(at))
      throw signatureError(`${prefix}-id or ${prefix}-timestamp is malformed`)
    const given = standardSignatures(requiredHeader(headers, `${prefix}-signature`))
    assertSignatureMatches(given, keys, key => hmac(key, `${id}.${at}.`, bytes).digest('base64'))
    return Number(at) * 1_000
  },
  sign(bytes, key, id) {
    const at = String(secondsNow())
    const signature = hmac(key, `${id}.${at}.`, bytes).digest('base64')
    return { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature}` }
  },
}

const github: SignatureScheme = {
  secretForm: 'a string',
  key: textKey,
  verify({ headers, bytes }, keys) {
    const given = /^sha256=([0-9a-f]{64})$/.exec(requiredHeader(headers, 'x-hub-signature-256'))
    assertSignatureMatches(given ? [given[1]!] : [], keys, key => hmac(key, '', bytes).digest('hex'))
    return undefined
  },
  sign(bytes, key, id) {
    const signature = hmac(key, '', bytes).digest('hex')
    return { 'x-github-delivery': id, 'x-github-event': 'ping', 'x-hub-signature-256': `sha256=${signature}` }
  },
}

const stripe: SignatureScheme = {
  secretForm: 'a string, usually with the prefix whsec_',
  key: textKey,
  verify({ headers, bytes }, keys) {
    const { at, signatures } = stripeSignature(requiredHeader(headers, 'stripe-signature'))
    if (at === undefined) throw signatureError('stripe-signature must have exactly one time')
    assertSignatureMatches(signatures, keys, key => hmac(key, `${at}.`, bytes).digest('hex'))
    return Number(at) * 1_000
  },
  sign(bytes, key) {
    const at = String(secondsNow())
    return { 'stripe-signature': `t=${at},v1=${hmac(key, `${at}.`, bytes).digest('hex')}` }
  },
}

/** The prefix of the header names: that of the standard, or that of Svix; never a mix. */
export const standardPrefix = (headers: IncomingHttpHeaders) =>
  headers['webhook-id'] === undefined && headers['svix-id'] !== undefined ? 'svix' : 'webhook'

export const signatures = { standard, github, stripe }

/** The version 1 signatures of `v1,BASE64 v1,BASE64 …`. Other versions use other algorithms. */
export const standardSignatures = (header: string): string[] =>
  header.split(' ').flatMap(each => (each.startsWith('v1,') ? [each.slice(3)] : []))

/** The version 1 signatures of `t=SECONDS,v1=HEX,v1=HEX,v0=…`, and the time if there is exactly one. */
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

function assertSignatureMatches(
  given: readonly string[],
  keys: readonly Buffer[],
  expected: (key: Buffer) => string,
): void {
  const candidates = given.map(each => Buffer.from(each))
  for (const key of keys) {
    const expectedBytes = Buffer.from(expected(key))
    if (candidates.some(each => each.length === expectedBytes.length && timingSafeEqual(each, expectedBytes))) return
  }
  throw signatureError('no signature matches the body; check the secret on both sides')
}

function requiredHeader(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name]
  if (typeof value !== 'string' || value === '') throw signatureError(`${name} is missing`)
  return value
}

const signatureError = (why: string) => httpError(401, why, { code: 'E_SIGNATURE_INVALID' })
