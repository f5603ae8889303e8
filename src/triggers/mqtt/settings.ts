import { TidingsError } from '../../errors.ts'
import { aCount, anObject, anything, aText, checkOptions, type Check } from '../../options.ts'
import { assertTriggerName } from '../trigger.ts'
import { topicRoutes, type MqttTopics, type TopicRoutes } from './topics.ts'

/** PEM. */
type Pem = string | Buffer

/** Which broker and topics the trigger reads, and how. */
export interface MqttOptions {
  /**
   * Identifies the session, which the broker keeps while the worker is stopped. Keep it over restarts, and use it in one process
   * only: a second process takes the session over.
   */
  clientId: string
  /** Topic filters, or event types by filter. Two filters may overlap only if one covers the other. */
  topics: MqttTopics
  /** `mqtt://` or `mqtts://`, with or without credentials. Default `TIDINGS_MQTT_URL`. */
  url?: string
  /** Must be unique in the app. Default `mqtt`. */
  name?: string
  username?: string
  password?: string
  /** For `mqtts://`: the trusted authorities instead of those of Node, and the client certificate. */
  tls?: { ca?: Pem; cert?: Pem; key?: Pem }
  /** The maximum; a publisher may use a lower one. Default 1. */
  qos?: 0 | 1 | 2
  /** Default 5. */
  version?: 5 | '3.1.1'
  /** Shares the messages among the processes of a group, each with its own client id. MQTT 5 only. */
  group?: string
  /** Largest payload, in bytes. Default 4 MiB. */
  maxBytes?: number
}

type RequiredOption = 'name' | 'clientId' | 'tls' | 'qos' | 'version' | 'maxBytes'

export interface MqttSettings extends Readonly<Required<Pick<MqttOptions, RequiredOption>>> {
  readonly host: string
  readonly port: number
  readonly secure: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly group: string | undefined
  readonly routes: TopicRoutes
  /** Where the broker is, without credentials. */
  readonly address: string
}

const checks = {
  clientId: aText,
  topics: anObject,
  url: aText,
  name: aText,
  username: aText,
  password: aText,
  tls: anything,
  qos: anything,
  version: anything,
  group: aText,
  maxBytes: aCount,
} satisfies Record<keyof MqttOptions, Check>

/** @throws E_APP_INVALID, E_SETTING_INVALID */
export function mqttSettings(options: MqttOptions): MqttSettings {
  checkOptions('mqtt()', options, checks, ['topics'])
  const { clientId, topics, name = 'mqtt', qos = 1, version = 5, group, maxBytes = 4 * 1024 * 1024, tls = {} } = options
  assertTriggerName(name)
  const invalid = (problem: string) => new TidingsError('E_APP_INVALID', `trigger "${name}"${problem}`)
  if (!clientId) throw invalid(' needs a clientId, which identifies its session')
  if (group !== undefined && version !== 5) throw invalid(': group needs version 5')
  if (group !== undefined && !/^[^/+#\0]+$/.test(group))
    throw invalid(`: invalid group "${group}"; use a name without / + #`)
  const url = parseBrokerUrl(options.url ?? process.env.TIDINGS_MQTT_URL)
  const secure = url.protocol === 'mqtts:'
  if (!secure && options.tls) throw invalid(' has tls options, but its URL has no TLS; use mqtts://')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port || (secure ? 8883 : 1883))
  return {
    name,
    clientId,
    host,
    port,
    secure,
    username: options.username ?? decodePart(url.username),
    password: options.password ?? decodePart(url.password),
    tls,
    qos,
    version,
    group,
    maxBytes,
    routes: topicRoutes(topics),
    address: `${url.protocol}//${url.hostname}:${port}`,
  }
}

function parseBrokerUrl(text = 'mqtt://127.0.0.1:1883'): URL {
  const url = URL.parse(text)
  if (url && ['mqtt:', 'mqtts:'].includes(url.protocol) && url.hostname && /^\/?$/.test(url.pathname + url.search))
    return url
  throw new TidingsError(
    'E_SETTING_INVALID',
    'invalid URL of the MQTT broker; expected mqtt://HOST:PORT or mqtts://HOST:PORT',
  )
}

/** A part that cannot be decoded is used unchanged. */
function decodePart(part: string): string | undefined {
  if (part === '') return undefined
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
