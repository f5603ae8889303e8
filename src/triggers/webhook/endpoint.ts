import { assertCustomType } from '../../bus/admit.ts'
import { TidingsError } from '../../errors.ts'
import type { EventType } from '../../event.ts'
import { aFunction, aList, anything, checkOptions, oneOf, type Check } from '../../options.ts'
import { type Duration, milliseconds } from '../../tasks/duration.ts'
import { assertTriggerName } from '../name.ts'
import { httpError } from '../../http/response.ts'
import { signatures, type SignedRequest } from './signatures.ts'

export type WebhookScheme = keyof typeof signatures | 'none'

/** What of a request tells its type. */
export interface WebhookRequest {
  /** In lower case; without those that carry signatures or let somebody in. */
  headers: Record<string, string>
  /** JSON, or the fields of a form; null where it is neither. */
  body: unknown
}

export interface WebhookEndpoint {
  /** How requests are signed. Default `standard`. `none` takes them from whoever knows the address. */
  scheme?: WebhookScheme
  /** What the source signs with; several while one is being replaced. Without it the trigger does not start. */
  secret?: string | undefined | readonly (string | undefined)[]
  /** How far the time that was signed may lie in the past or the future. Default 5 minutes. GitHub signs none. */
  tolerance?: Duration
  /** The types of events that it publishes, each with what the schema makes of the body as its data. */
  publishes?: readonly EventType[]
  /** The type that a request is of. Default: `type` of the body, at `github` the header `X-GitHub-Event`. */
  type?: (request: WebhookRequest) => unknown
  /** What becomes of a request that is of none of these types: `webhook.received`, the default, or nothing. */
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
export const webhookSource = '/triggers/webhook'

/** What can be told without the secrets, which are there only where the trigger runs. @throws E_APP_INVALID, E_EVENT_INVALID */
export function checkEndpoint(name: string, endpoint: WebhookEndpoint): void {
  checkOptions(`webhook endpoint "${name}"`, endpoint, checks, [])
  const { scheme = 'standard', publishes = [], others } = endpoint
  assertTriggerName(name)
  if (scheme !== 'none' && !Object.hasOwn(signatures, scheme))
    throw invalid(name, `has no scheme; there is ${Object.keys(signatures).join(', ')}, none`)
  // Such as those that only the runtime may publish.
  for (const { type } of publishes) assertCustomType(type)
  if (others === 'ignore' && publishes.length === 0) throw invalid(name, 'ignores all, since it publishes no type')
}

export const typesOf = ({ publishes = [], others = 'publish' }: WebhookEndpoint): string[] => [
  ...publishes.map(({ type }) => type),
  ...(others === 'publish' ? [webhookReceivedType] : []),
]

export type VerifySignature = (signed: SignedRequest, now: number) => { at: number | undefined }

/**
 * Tells whether a request was signed with the secret and when, in ms since the epoch; refuses with 401.
 * @throws E_SETTING_INVALID without a secret, and for one that is none
 */
export function verifierOf(name: string, options: WebhookEndpoint): VerifySignature {
  const { scheme = 'standard', tolerance = '5m' } = options
  const secrets = secretsOf(options)
  if (scheme === 'none') {
    if (secrets.some(secret => secret)) throw unusable(name, 'has a secret that its scheme, none, does not look at')
    return signed => takeUnsigned(signed)
  }
  const signature = signatures[scheme]
  const keys = secrets.map(secret => {
    const key = secret ? signature.key(secret) : undefined
    if (!key)
      throw unusable(name, `needs its secret: ${signature.secret}. ${secret ? 'This is none' : 'There is none'}`)
    return key
  })
  const windowMs = milliseconds(tolerance)
  return (signed, now) => {
    const at = signature.verify(signed, keys)
    if (at !== undefined && Math.abs(now - at) > windowMs) {
      const seconds = Math.round((now - at) / 1_000)
      const text = `it was signed ${Math.abs(seconds)} seconds ${seconds > 0 ? 'ago' : 'ahead'}, at most ${windowMs / 1_000} are taken`
      throw httpError(401, text, 'E_SIGNATURE_INVALID')
    }
    // The earliest that it may have been signed by our clock: the same for all copies of one request.
    return { at: at === undefined ? undefined : at - windowMs }
  }
}

/** Its secrets, undefined for one that is not there: at least one in any case. The first is for samples. */
export function secretsOf({ secret }: WebhookEndpoint): (string | undefined)[] {
  const secrets = [secret].flat()
  return secrets.length > 0 ? secrets : [undefined]
}

/** A page in a browser of this machine may reach the port too, and always says where it is from. */
function takeUnsigned({ headers }: SignedRequest): { at: undefined } {
  if (headers.origin !== undefined)
    throw httpError(403, 'pages in a browser may not send to an endpoint without signatures')
  return { at: undefined }
}

const invalid = (name: string, problem: string) =>
  new TidingsError('E_APP_INVALID', `webhook endpoint ${name} ${problem}`)

const unusable = (name: string, problem: string) =>
  new TidingsError('E_SETTING_INVALID', `webhook endpoint ${name} ${problem}`)
