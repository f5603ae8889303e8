import type { IncomingHttpHeaders } from 'node:http'
import { KnownSecrets } from '../bus/known-secrets.ts'

/* Which headers and parameters are credentials, by their name. None of their values may be recorded, wherever it appears. */

const header = /auth|cookie|token|secret|(^|[-_])key|api-?key|pass|cred|session|jwt|assertion|signature|dpop|otp$/i
const notAHeader = /^(idempotency-key|x-ratelimit-.*|anthropic-ratelimit-.*)$/i

export const isCredentialHeader = (name: string): boolean => header.test(name) && !notAHeader.test(name)

const parameter =
  /^(?:.*[-_.])?(?:token|secret|api-?key|apikey|access-?key(?:-?id)?|subscription-key|password|passwd|pwd|pass|signature|sig|jwt|credential|assertion|authorization|session(?:[-_]?id)?)$/i

/** Of a query or a form. */
export const isCredentialParameter = (name: string): boolean =>
  parameter.test(name.replace(/([a-z0-9])([A-Z])/g, '$1-$2'))

/** Stands for the value of such a parameter. */
export const credentialMark = '[redacted credential]'

const parameters = /([?&;])([^?&;=#\s"'<>]+)=([^&;#\s"'<>]*)/g

/** `key` is one in addresses of Google. */
const isCredentialInAddress = (name: string) => isCredentialParameter(decoded(name)) || name === 'key'

/** A text in which addresses have no credentials in their queries. */
export const withoutCredentials = (text: string): string =>
  text.replace(parameters, (whole, before: string, name: string) =>
    isCredentialInAddress(name) ? `${before}${name}=${credentialMark}` : whole,
  )

function credentialsInAddresses(text: string): string[] {
  const found = text.matchAll(parameters).filter(([, , name]) => isCredentialInAddress(name!))
  return [...found].flatMap(([, , , value]) => [value!, decoded(value!)])
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** A shorter one, such as the `lm-studio` of a local model, is also a word of ordinary texts. */
const minLength = 16

/** What authenticates a request, which no answer may repeat on the log. `target`: its path and query. */
export function credentialsIn(headers: IncomingHttpHeaders, target = ''): KnownSecrets {
  const found = credentialsInAddresses(target)
  for (const [name, given = ''] of Object.entries(headers))
    for (const value of [given].flat())
      found.push(
        ...(isCredentialHeader(name) ? [value, ...value.split(/[\s,;]+|=(?!=|$)/)] : credentialsInAddresses(value)),
      )
  return new KnownSecrets(found.filter(({ length }) => length >= minLength))
}
