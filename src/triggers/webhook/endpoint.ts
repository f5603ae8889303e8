import { assertCustomType } from '../../bus/admit.ts'
import { TidingsError } from '../../errors.ts'
import type { EventType } from '../../event.ts'
import { aFunction, aList, anything, checkOptions, oneOf, type Check } from '../../options.ts'
import { type Duration, milliseconds } from '../../tasks/duration.ts'
import { assertTriggerName } from '../trigger.ts'
import { httpError } from '../../http/response.ts'
import { signatures, type SignedRequest } from './signatures.ts'

/** The ways to sign a request. `none` checks no signature. */
export type WebhookScheme = keyof typeof signatures | 'none'

/** The part of a request that decides its type. */
export interface WebhookRequest {
  /** Names in lower case, without signatures and credentials. */
  headers: Record<string, string>
  /** JSON or the fields of a form; null for anything else. */
  body: unknown
}

/** How the requests to one endpoint are checked, and what they publish. */
export interface WebhookEndpoint {
  /** How requests are signed. Default `standard`. `none` accepts requests from anyone who knows the URL. */
  scheme?: WebhookScheme
  /** The signing secret, or several during a rotation. Without one the endpoint answers 503, and a warning says what is missing. */
  secret?: string | undefined | readonly (string | undefined)[]
  /** How far the signed time may be in the past or the future. Default 5 minutes. GitHub signs no time. */
  tolerance?: Duration
  /** Event types of your own; the schema turns the body into the data. */
  publishes?: readonly EventType[]
  /** Returns the type of a request. Default: `type` of the body; for `github` the header `X-GitHub-Event`. */
  type?: (request: WebhookRequest) => unknown
  /** For a request of none of these types: publish `webhook.received` (the default), or ignore it. */
  others?: 'publish' | 'ignore'
}

const checks = {
  scheme: anything,
  secret: anything,
  tolerance: anything,
  publishes: aList,
  type: aFunction,
  others: oneOf('publish', 'ignore'),
} satisfies Record<keyof WebhookEndpoint, Check>

export const webhookReceivedType = 'webhook.received'

/** Checks everything but the secrets, which only the process that runs the trigger has. @throws E_APP_INVALID, E_EVENT_INVALID */
export function checkEndpoint(name: string, endpoint: WebhookEndpoint): void {
  checkOptions(`webhook endpoint "${name}"`, endpoint, checks, [])
  const { scheme = 'standard', publishes = [], others } = endpoint
  assertTriggerName(name)
  if (scheme !== 'none' && !Object.hasOwn(signatures, scheme))
    throw invalid(name, `has an unknown scheme; expected ${Object.keys(signatures).join(', ')} or none`)
  for (const { type } of publishes) assertCustomType(type)
  if (others === 'ignore' && publishes.length === 0)
    throw invalid(name, 'ignores every request: others is "ignore" and publishes is empty')
}

export const typesOf = ({ publishes = [], others = 'publish' }: WebhookEndpoint): string[] => [
  ...publishes.map(({ type }) => type),
  ...(others === 'publish' ? [webhookReceivedType] : []),
]

/** @throws the error to respond with */
export type VerifySignature = (signed: SignedRequest, now: number) => void

/**
 * Returns a function that verifies the signature of a request, and that it was signed within the tolerance.
 * @throws E_SETTING_INVALID without a secret or with a malformed one
 */
export function verifierOf(name: string, options: WebhookEndpoint): VerifySignature {
  const { scheme = 'standard', tolerance = '5m' } = options
  const secrets = secretsOf(options)
  if (scheme === 'none') {
    if (secrets.some(secret => secret))
      throw secretError(name, 'has a secret, but scheme "none" does not use one; name the scheme')
    return acceptUnsigned
  }
  const signature = signatures[scheme]
  const keys = secrets.map(secret => {
    const key = secret ? signature.key(secret) : undefined
    if (key) return key
    const problem = secret ? 'the given one has another form' : 'none is set'
    throw secretError(name, `needs a secret: ${signature.secretForm}; ${problem}`)
  })
  const toleranceMs = milliseconds(tolerance)
  return (signed, now) => {
    const signedAt = signature.verify(signed, keys)
    if (signedAt === undefined || Math.abs(now - signedAt) <= toleranceMs) return
    const seconds = Math.round((now - signedAt) / 1_000)
    const age = `${Math.abs(seconds)} seconds ${seconds > 0 ? 'ago' : 'in the future'}`
    const text = `the request was signed ${age}, but the tolerance is ${toleranceMs / 1_000}`
    throw httpError(401, text, { code: 'E_SIGNATURE_INVALID' })
  }
}

/** At least one entry; undefined for a secret that is not set. The first one signs samples. */
export function secretsOf({ secret }: WebhookEndpoint): (string | undefined)[] {
  const secrets = [secret].flat()
  return secrets.length > 0 ? secrets : [undefined]
}

/** A web page on this machine can reach the port too; browsers always send Origin. */
function acceptUnsigned({ headers }: SignedRequest): void {
  if (headers.origin !== undefined) throw httpError(403, 'web pages may not send to an endpoint without signatures')
}

const invalid = (name: string, problem: string) =>
  new TidingsError('E_APP_INVALID', `webhook endpoint "${name}" ${problem}`)

const secretError = (name: string, problem: string) =>
  new TidingsError('E_SETTING_INVALID', `webhook endpoint "${name}" ${problem}`)
