import type { IncomingMessage } from 'node:http'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { aCount, anObject, anything, aText, checkOptions, type Check } from '../../options.ts'
import type { RunningTrigger, Trigger } from '../trigger.ts'
import { type HttpResponse, errorResponse, httpError } from '../../http/response.ts'
import { readBody } from '../../http/body.ts'
import { checkEndpoint, typesOf, verifierOf, type WebhookEndpoint } from './endpoint.ts'
import { sendWebhookSample } from './sample.ts'
import { startServer } from './server.ts'
import { MemoryLimiter } from '../memory-limiter.ts'
import { urlHost } from '../../http/listen.ts'
import { type ActiveEndpoint, receive } from './receive.ts'

export interface WebhookOptions {
  /** What is taken, by name: requests come to `POST /hooks/NAME`. */
  endpoints: Readonly<Record<string, WebhookEndpoint>>
  /** 0 takes any free port. Default `TIDINGS_WEBHOOK_PORT`, else 2580. */
  port?: number
  /** Address to listen on. Default 127.0.0.1. */
  host?: string
  /** Largest body, in bytes. Default 1 MiB. */
  maxBytes?: number
}

const checks = { endpoints: anObject, port: anything, host: aText, maxBytes: aCount } satisfies Record<
  keyof WebhookOptions,
  Check
>

// Bodies in memory, as many as would fit of the largest.
const bodiesAtOnce = 64

/**
 * Takes webhooks: each one is an event on the log before it is answered with 202. The same one again is inert.
 * `docs/triggers/webhook.md` has the schemes of signatures, `docs/wire-format.md` the shape of the data.
 * @throws E_APP_INVALID, E_EVENT_INVALID
 */
export function webhook(options: WebhookOptions): Trigger {
  checkOptions('webhook()', options, checks, ['endpoints'])
  const endpoints = Object.entries(options.endpoints)
  if (endpoints.length === 0) throw new TidingsError('E_APP_INVALID', 'webhook() has no endpoint')
  for (const [name, endpoint] of endpoints) checkEndpoint(name, endpoint)
  return {
    kind: 'trigger',
    name: 'webhook',
    types: [...new Set(endpoints.flatMap(([, endpoint]) => typesOf(endpoint)))],
    get address() {
      return urlOf(options, portOf(options))
    },
    start: bus => start(bus, options),
    sendSample: () => sendWebhookSample(urlOf(options, portOf(options)), options.endpoints),
  }
}

async function start(bus: Bus, options: WebhookOptions): Promise<RunningTrigger> {
  const { host = '127.0.0.1', maxBytes = 1024 * 1024 } = options
  const endpoints = new Map<string, ActiveEndpoint>()
  for (const [name, each] of Object.entries(options.endpoints))
    endpoints.set(`/hooks/${name}`, { name, options: each, verify: verifierOf(name, each) })
  const load = new MemoryLimiter(bodiesAtOnce * maxBytes)
  const handle = (incoming: IncomingMessage): Promise<HttpResponse> =>
    load.run(async hold => {
      const arrived = Date.now()
      const path = incoming.url!.split('?')[0]!
      const endpoint = endpoints.get(path)
      if (!endpoint) throw httpError(404, `no endpoint has the path ${path.slice(0, 80)}`, 'E_NOT_FOUND')
      if (incoming.method !== 'POST')
        return {
          ...errorResponse(httpError(405, `${path} accepts only POST`), bus.redactor),
          headers: { allow: 'POST' },
        }
      // The signature is over the bytes as sent, so they would have to be unpacked before the sender is known.
      if ((incoming.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity')
        throw httpError(415, 'a compressed body is not accepted; send it without Content-Encoding')
      const bytes = await readBody(incoming, maxBytes, hold)
      return receive(bus, endpoint, { headers: incoming.headers, bytes }, arrived)
    })
  const { port, stop } = await startServer(handle, { port: portOf(options), host, redactor: bus.redactor })
  return { address: urlOf(options, port), stop }
}

function portOf({ port }: WebhookOptions): number {
  if (port !== undefined) return port
  const text = process.env.TIDINGS_WEBHOOK_PORT || '2580'
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new TidingsError('E_SETTING_INVALID', `TIDINGS_WEBHOOK_PORT=${text} is not a port`)
}

const urlOf = ({ host = '127.0.0.1' }: WebhookOptions, port: number) => `http://${urlHost(host)}:${port}/hooks`
