import type { IncomingMessage } from 'node:http'
import type { Bus } from '../../bus/bus.ts'
import { log } from '../../bus/telemetry/log.ts'
import { TidingsError } from '../../errors.ts'
import { aCount, anObject, anything, aText, checkOptions, type Check } from '../../options.ts'
import { notListening, type RunningTrigger, type Trigger } from '../trigger.ts'
import { type HttpResponse, errorResponse, httpError } from '../../http/response.ts'
import { readBody } from '../../http/body.ts'
import { checkEndpoint, typesOf, verifierOf, type VerifySignature, type WebhookEndpoint } from './endpoint.ts'
import { receiveSigned } from './receive-signed.ts'
import { sendWebhookSample } from './sample.ts'
import { startServer } from './server.ts'
import { MemoryLimiter } from '../memory-limiter.ts'
import { configuredPort, localHost, urlHost } from '../../http/listen.ts'
import { type ActiveEndpoint, receive } from './receive.ts'

/** The endpoints of a webhook server, and where it listens. */
export interface WebhookOptions {
  /** By name: requests are sent to `POST /hooks/NAME`. */
  endpoints: Readonly<Record<string, WebhookEndpoint>>
  /** 0 uses any free port. Default `TIDINGS_WEBHOOK_PORT`, else 2580. */
  port?: number
  /** Address to listen on. Default 127.0.0.1. */
  host?: string
  /** Largest body, in bytes. Default 1 MiB. */
  maxBytes?: number
}

type Checks = Record<keyof WebhookOptions, Check>
const checks: Checks = { endpoints: anObject, port: anything, host: aText, maxBytes: aCount }

// In bodies of the largest size.
const maxBodiesInMemory = 64
const unready = { code: 'E_SETTING_INVALID', next: 'Retry later. The log of the worker says what is missing.' } as const
const notFound = { code: 'E_NOT_FOUND', next: 'The path is /hooks/NAME, with the name of an endpoint.' } as const

/**
 * Accepts webhooks: each is an event on the log before it is answered with 202. A repeated request has no effect.
 * `docs/triggers/webhook.md` has the schemes of signatures, `docs/wire-format.md` the shape of the data.
 * @throws E_APP_INVALID, E_EVENT_INVALID
 * @example webhook({ endpoints: { github: { scheme: 'github', secret: process.env.GITHUB_SECRET } } })
 */
export function webhook(options: WebhookOptions): Trigger {
  checkOptions('webhook()', options, checks, ['endpoints'])
  const endpoints = Object.entries(options.endpoints)
  if (endpoints.length === 0) throw new TidingsError('E_APP_INVALID', 'webhook() needs at least one endpoint')
  for (const [name, endpoint] of endpoints) checkEndpoint(name, endpoint)
  return {
    kind: 'trigger',
    name: 'webhook',
    types: [...new Set(endpoints.flatMap(([, endpoint]) => typesOf(endpoint)))],
    get address() {
      return webhookUrl(listenAddress(options))
    },
    start: bus => start(bus, options),
    sendSample: async () => {
      const { host, port } = listenAddress(options)
      if (port === 0) throw notListening('port 0 is another one in each process: name a `port` to send a sample to')
      return sendWebhookSample(webhookUrl({ host: localHost(host), port }), options.endpoints)
    },
    receive: (bus, endpoint, request) => receiveSigned(bus, options.endpoints, endpoint, request),
  }
}

async function start(bus: Bus, options: WebhookOptions): Promise<RunningTrigger> {
  const { maxBytes = 1024 * 1024 } = options
  const endpoints = new Map<string, ActiveEndpoint>()
  const warnings: string[] = []
  for (const [name, each] of Object.entries(options.endpoints)) {
    const { verify, problem } = verifierOrProblem(name, each)
    if (problem !== undefined) warnings.push(`${problem}. Until then POST /hooks/${name} answers 503.`)
    endpoints.set(`/hooks/${name}`, { name, options: each, verify })
  }
  const limiter = new MemoryLimiter(maxBodiesInMemory * maxBytes)
  const handle = (incoming: IncomingMessage): Promise<HttpResponse> =>
    limiter.run(async reserve => {
      const arrived = Date.now()
      const path = incoming.url!.split('?')[0]!
      const endpoint = endpoints.get(path)
      if (!endpoint) throw httpError(404, `no endpoint has the path ${path.slice(0, 80)}`, notFound)
      const wrongMethod = () => errorResponse(httpError(405, `${path} accepts only POST`), bus.redactor)
      if (incoming.method !== 'POST') return { ...wrongMethod(), headers: { allow: 'POST' } }
      // The signature is over the bytes as sent, so they would have to be unpacked before the sender is known.
      if ((incoming.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity')
        throw httpError(415, 'a compressed body is not accepted; send it without Content-Encoding')
      const bytes = await readBody(incoming, maxBytes, reserve)
      return receive(bus, endpoint, { headers: incoming.headers, bytes }, arrived)
    })
  const { url, stop } = await startServer(handle, { ...listenAddress(options), redactor: bus.redactor })
  for (const warning of warnings) log.warn?.({ trigger: 'webhook' }, warning)
  return { address: `${url}/hooks`, warnings, stop }
}

/** An endpoint without its secret accepts nothing, and the rest of the app runs. */
function verifierOrProblem(name: string, endpoint: WebhookEndpoint): { verify: VerifySignature; problem?: string } {
  try {
    return { verify: verifierOf(name, endpoint) }
  } catch (error) {
    if (!(error instanceof TidingsError && error.code === 'E_SETTING_INVALID')) throw error
    const verify = () => {
      throw httpError(503, `the endpoint "${name}" is not ready: a setting of its worker is missing`, unready)
    }
    return { verify, problem: error.message }
  }
}

const listenAddress = ({ host = '127.0.0.1', port }: WebhookOptions) => ({
  host,
  port: port ?? configuredPort('TIDINGS_WEBHOOK_PORT', 2580),
})

const webhookUrl = ({ host, port }: { host: string; port: number }) => `http://${urlHost(host)}:${port}/hooks`
