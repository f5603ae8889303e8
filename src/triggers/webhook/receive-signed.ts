import { randomUUID } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { errorResponse, type HttpResponse } from '../../http/response.ts'
import { didYouMean } from '../../suggest.ts'
import type { TestRequest } from '../trigger.ts'
import { secretsOf, verifierOf, type WebhookEndpoint } from './endpoint.ts'
import { receive } from './receive.ts'
import { signedHeaders } from './sample.ts'

/** For endpoints whose secret is not set where the tests run. Every scheme accepts its form. */
const testSecret = `whsec_${Buffer.alloc(32, 't').toString('base64')}`

/** Signs a request as its source would, and handles it as the server does. @throws E_NOT_FOUND, E_SETTING_INVALID */
export async function receiveSigned(
  bus: Bus,
  endpoints: Readonly<Record<string, WebhookEndpoint>>,
  name: string,
  request: TestRequest,
): Promise<Response> {
  const declared = Object.hasOwn(endpoints, name) ? endpoints[name]! : undefined
  if (!declared)
    throw new TidingsError(
      'E_NOT_FOUND',
      `no webhook endpoint is named "${name}"${didYouMean(name, Object.keys(endpoints))}`,
    )
  const isSigned = declared.scheme !== 'none'
  const endpoint = isSigned
    ? { ...declared, secret: secretsOf(declared).map(secret => secret || testSecret) }
    : declared
  const { bytes, type } = encoded(request.body)
  const given = Object.fromEntries(
    Object.entries(request.headers ?? {}).map(([of, value]) => [of.toLowerCase(), value]),
  )
  const id = given['webhook-id'] ?? given['x-github-delivery'] ?? `test_${randomUUID()}`
  const signed = signedHeaders(`endpoint "${name}"`, endpoint, { body: bytes, id })
  const headers = { 'content-type': type, ...signed, ...given }
  const active = { name, options: endpoint, verify: verifierOf(name, endpoint) }
  const {
    status,
    body,
    headers: more,
  }: HttpResponse = await receive(bus, active, { headers, bytes }, Date.now()).catch((error: unknown) =>
    errorResponse(error, bus.redactor),
  )
  return new Response(body ? JSON.stringify(body) : null, {
    status,
    headers: { ...(body && { 'content-type': 'application/json' }), ...more },
  })
}

function encoded(body: unknown): { bytes: Buffer; type: string } {
  if (body instanceof URLSearchParams)
    return { bytes: Buffer.from(String(body)), type: 'application/x-www-form-urlencoded' }
  const type = 'application/json'
  if (typeof body === 'string') return { bytes: Buffer.from(body), type }
  return { bytes: body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body ?? null)), type }
}
