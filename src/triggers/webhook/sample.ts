import { randomUUID } from 'node:crypto'
import { TidingsError } from '../../errors.ts'
import { notListening } from '../trigger.ts'
import { secretsOf, type WebhookEndpoint } from './endpoint.ts'
import { signatures } from './signatures.ts'

const timeoutMs = 10_000
const type = 'webhook.test'

/**
 * Sends a signed sample to each endpoint. `url`: of the trigger.
 * @throws E_NOT_FOUND if nothing listens, E_REQUEST_INVALID if the sample is rejected, E_SETTING_INVALID
 */
export async function sendWebhookSample(
  url: string,
  endpoints: Readonly<Record<string, WebhookEndpoint>>,
): Promise<void> {
  for (const [name, endpoint] of Object.entries(endpoints)) await sendToEndpoint(`${url}/${name}`, endpoint)
}

async function sendToEndpoint(url: string, endpoint: WebhookEndpoint): Promise<void> {
  const id = `test_${randomUUID()}`
  const body = Buffer.from(JSON.stringify({ id, type, timestamp: new Date().toISOString(), data: {} }))
  const headers = { 'content-type': 'application/json', ...signedHeaders(url, endpoint, { body, id }) }
  const signal = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
    throw notListening(`${url} does not answer`, cause)
  })
  if (response.ok) return
  const problem = `${url} rejected the sample with ${response.status}: ${await response.text()}`
  const next =
    'Restart the worker if the endpoint was changed; else correct the endpoint so that it accepts a test event.'
  throw new TidingsError('E_REQUEST_INVALID', problem, { next })
}

/** The headers of a signed request to an endpoint. `what`: for the error. @throws E_SETTING_INVALID */
export function signedHeaders(
  what: string,
  endpoint: WebhookEndpoint,
  { body, id }: { body: Buffer; id: string },
): Record<string, string> {
  const { scheme = 'standard' } = endpoint
  if (scheme === 'none') return { 'webhook-id': id }
  const [secret] = secretsOf(endpoint)
  const key = secret === undefined ? undefined : signatures[scheme].key(secret)
  if (!key) throw new TidingsError('E_SETTING_INVALID', `the secret of ${what} is not set; set it as for the worker`)
  return signatures[scheme].sign(body, key, id)
}
