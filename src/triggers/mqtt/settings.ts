import { TidingsError } from '../../errors.ts'
import { aCount, anObject, anything, aText, checkOptions, type Check } from '../../options.ts'
import { assertTriggerName } from '../name.ts'
import { topicRoutes, type MqttTopics, type TopicRoutes } from './topics.ts'

/** PEM. */
type Pem = string | Buffer

export interface MqttOptions {
  /**
   * Names the session, which the broker keeps while nobody is there. It must stay what it is over restarts, and be that of this
   * process alone: a second one takes the session over.
   */
  clientId: string
  /** Topic filters, or what the messages of each become. Filters may lie within each other, not overlap otherwise. */
  topics: MqttTopics
  /** `mqtt://` or `mqtts://`, with the credentials or without. Default `TIDINGS_MQTT_URL`. */
  url?: string
  /** Of two triggers in one app one has another name. Default `mqtt`. */
  name?: string
  username?: string
  password?: string
  /** Of `mqtts://`: whom to trust in place of the authorities that Node knows, and the certificate of the client. */
  tls?: { ca?: Pem; cert?: Pem; key?: Pem }
  /** At most; the publisher may choose less. Default 1. */
  qos?: 0 | 1 | 2
  /** Default 5. */
  version?: 5 | '3.1.1'
  /** Shares the messages with other processes, by MQTT 5: those of one group, each with a client id of its own. */
  group?: string
  /** Largest payload, in bytes. Default 4 MiB. */
  maxBytes?: number
}

export interface MqttSettings {
  readonly name: string
  readonly clientId: string
  readonly host: string
  readonly port: number
  readonly secure: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly tls: NonNullable<MqttOptions['tls']>
  readonly qos: 0 | 1 | 2
  readonly version: 5 | '3.1.1'
  readonly group: string | undefined
  readonly maxBytes: number
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
  if (!clientId) throw new TidingsError('E_APP_INVALID', `trigger ${name} has no clientId, which names its session`)
  if (group !== undefined && version !== 5)
    throw new TidingsError('E_APP_INVALID', `trigger ${name}: only MQTT 5 knows groups`)
  if (group !== undefined && !/^[^/+#\0]+$/.test(group))
    throw new TidingsError('E_APP_INVALID', `trigger ${name}: "${group}" is no name of a group`)
  const url = urlOf(options.url ?? process.env.TIDINGS_MQTT_URL)
  const secure = url.protocol === 'mqtts:'
  if (!secure && options.tls)
    throw new TidingsError(
      'E_APP_INVALID',
      `trigger ${name} has certificates, and an address without TLS: use mqtts://`,
    )
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port || (secure ? 8883 : 1883))
  return {
    name,
    clientId,
    host,
    port,
    secure,
    username: options.username ?? textIn(url.username),
    password: options.password ?? textIn(url.password),
    tls,
    qos,
    version,
    group,
    maxBytes,
    routes: topicRoutes(topics),
    address: `${url.protocol}//${url.hostname}:${port}`,
  }
}

function urlOf(text = 'mqtt://127.0.0.1:1883'): URL {
  const url = URL.parse(text)
  if (url && ['mqtt:', 'mqtts:'].includes(url.protocol) && url.hostname && /^\/?$/.test(url.pathname + url.search))
    return url
  throw new TidingsError(
    'E_SETTING_INVALID',
    'the address of the MQTT broker is not mqtt://HOST:PORT or mqtts://HOST:PORT',
  )
}

/** Of an address that was read: what cannot be decoded is taken as it is. */
function textIn(part: string): string | undefined {
  if (part === '') return undefined
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
