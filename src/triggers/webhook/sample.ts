import { randomUUID } from 'node:crypto'
import { TidingsError } from '../../errors.ts'
import { secretsOf, type WebhookEndpoint } from './endpoint.ts'
import { signatures } from './signatures.ts'

const patienceMs = 10_000
const type = 'webhook.test'

/**
 * Sends a sample to each endpoint, signed as it asks for. `url`: that of the trigger.
 * @throws E_NOT_FOUND where nobody listens, E_REQUEST_INVALID with the answer where it is refused, E_SETTING_INVALID
 */
export async function sendWebhookSample(
  url: string,
  endpoints: Readonly<Record<string, WebhookEndpoint>>,
): Promise<void> {
  const reached = url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
  for (const [name, endpoint] of Object.entries(endpoints)) await knock(`${reached}/${name}`, endpoint)
}

async function knock(url: string, endpoint: WebhookEndpoint): Promise<void> {
  const id = `test_${randomUUID()}`
  const body = Buffer.from(JSON.stringify({ id, type, timestamp: new Date().toISOString(), data: {} }))
  const headers = { 'content-type': 'application/json', ...signed(url, endpoint, body, id) }
  const signal = AbortSignal.timeout(patienceMs)
  const answer = await fetch(url, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
    throw new TidingsError('E_NOT_FOUND', `${url} does not answer; does the worker run?`, { cause })
  })
  if (!answer.ok)
    throw new TidingsError('E_REQUEST_INVALID', `${url} answered ${answer.status}: ${await answer.text()}`)
}

function signed(url: string, endpoint: WebhookEndpoint, body: Buffer, id: string): Record<string, string> {
  const { scheme = 'standard' } = endpoint
  if (scheme === 'none') return { 'webhook-id': id }
  const [secret] = secretsOf(endpoint)
  const key = secret === undefined ? undefined : signatures[scheme].key(secret)
  if (!key) throw new TidingsError('E_SETTING_INVALID', `the secret of ${url} is not set here`)
  return signatures[scheme].sign(body, key, id)
}
