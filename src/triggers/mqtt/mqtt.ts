import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type * as Mqtt from 'mqtt'
import type { Bus } from '../../bus/bus.ts'
import { settledOrAborted } from '../../bus/abort.ts'
import { TidingsError, textOf } from '../../errors.ts'
import { clientOptions, Connection, lossBy, type ConnectionLoss } from './connection.ts'
import { MqttInbox } from './inbox.ts'
import { Session } from './session.ts'
import { mqttSettings, type MqttOptions, type MqttSettings } from './settings.ts'
import { sampleTopic } from './topics.ts'
import type { RunningTrigger, Trigger } from '../trigger.ts'
import { warnOfTrigger } from '../warn-of-trigger.ts'

export type { MqttOptions } from './settings.ts'
export type { MqttTopics } from './topics.ts'

// The delay doubles with each failure, and starts again after a connection that lasted long enough.
const [minReconnectDelayMs, maxReconnectDelayMs] = [200, 30_000]
const stableAfterMs = 10_000

/**
 * Receives messages from an MQTT broker: each is on the log before it is acknowledged. While the worker is stopped the broker
 * keeps the session and its messages. `docs/triggers/mqtt.md` describes the guarantees of each QoS.
 * @throws E_APP_INVALID, E_SETTING_INVALID
 * @example mqtt({ clientId: 'shop', url: 'mqtts://broker.example.com', topics: ['sensors/+/temperature'] })
 */
export function mqtt(options: MqttOptions): Trigger {
  const settings = mqttSettings(options)
  return {
    kind: 'trigger',
    name: settings.name,
    types: settings.routes.types,
    address: settings.address,
    start: async bus => {
      const receiver = new Receiver(bus, settings, await loadPackage())
      await receiver.start()
      return receiver
    },
    sendSample: async (_bus, signal) => publishSample(await loadPackage(), settings, signal),
  }
}

async function loadPackage(): Promise<typeof Mqtt> {
  try {
    return await import('mqtt')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TidingsError('E_MQTT_MISSING', 'the MQTT trigger needs a package: npm install mqtt', { cause })
  }
}

class Receiver implements RunningTrigger {
  readonly #bus: Bus
  readonly #settings: MqttSettings
  readonly #package: typeof Mqtt
  readonly #stopping = new AbortController()
  #session!: Session
  #inbox!: MqttInbox
  #connection: Connection | undefined
  #loop: Promise<void> = Promise.resolve()
  #failures = 0
  #lossReason = ''

  constructor(bus: Bus, settings: MqttSettings, mqttPackage: typeof Mqtt) {
    this.#bus = bus
    this.#settings = settings
    this.#package = mqttPackage
  }

  get address(): string {
    return this.#lossReason ? `${this.#settings.address} (not connected: ${this.#lossReason})` : this.#settings.address
  }

  /** Resolves when it is subscribed, or waits for the broker. @throws E_MQTT_REFUSED if retrying cannot help */
  async start(): Promise<void> {
    const { clientId, name, routes, address } = this.#settings
    this.#session = await Session.open(this.#bus, { clientId, source: `/triggers/${name}`, types: routes.types })
    this.#inbox = new MqttInbox(this.#bus, this.#session, this.#settings)
    const loss = await this.#connect()
    if (loss?.isPermanent) throw new TidingsError('E_MQTT_REFUSED', `${address}: ${loss.reason}`)
    if (loss) this.#onLoss(loss)
    this.#loop = this.#run(loss)
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#stopping.abort()
    await settledOrAborted(this.#inbox.idle(), abort)
    await settledOrAborted(Promise.all([this.#connection?.close(), this.#loop]), abort)
  }

  async #run(first: ConnectionLoss | undefined): Promise<void> {
    const { signal } = this.#stopping
    for (let loss = first; !signal.aborted; ) {
      if (loss) {
        await pause(this.#delay(loss), undefined, { signal }).catch(() => {})
        if (!signal.aborted) loss = await this.#connect()
      } else {
        const since = performance.now()
        if (this.#lossReason) this.#warn(`connected to ${this.#settings.address}`)
        this.#lossReason = ''
        loss = await this.#connection!.ended
        if (performance.now() - since > stableAfterMs) this.#failures = 0
      }
      if (loss && !signal.aborted) this.#onLoss(loss)
    }
  }

  /** Connects and subscribes; returns the loss if that fails. */
  async #connect(): Promise<ConnectionLoss | undefined> {
    let connection: Connection | undefined
    try {
      const subscribed = this.#session.filters
      await this.#session.save({ sure: false })
      const { signal: stopping } = this.#stopping
      const options = { settings: this.#settings, session: this.#session, inbox: this.#inbox, stopping }
      const opened = new Connection(this.#package, options)
      connection = this.#connection = opened
      const ready = opened.ready.then(present => this.#subscribe(opened, present ? subscribed : []))
      return (await Promise.race([ready, opened.ended])) ?? undefined
    } catch (error) {
      if (connection?.closed.aborted) return connection.ended
      await connection?.close()
      return lossBy(error)
    }
  }

  /** Keeps existing subscriptions, so that the broker does not resend retained messages. */
  async #subscribe(connection: Connection, subscribed: readonly string[]): Promise<void> {
    const { routes, qos, group } = this.#settings
    const wanted = routes.filters.map(filter => `${qos} ${group === undefined ? '' : `$share/${group}/`}${filter}`)
    const filterOf = (entry: string) => entry.slice(2)
    const added = wanted.filter(entry => !subscribed.includes(entry)).map(filterOf)
    const left = new Set(this.#session.possibleFilters.map(filterOf)).difference(new Set(wanted.map(filterOf)))
    await connection.unsubscribe([...left])
    for (const { topic, qos: granted } of await connection.subscribe(added, qos))
      if (granted < qos) this.#warn(`the broker grants "${topic}" only at QoS ${granted}, not ${qos}`)
    await this.#session.save({ filters: wanted, sure: true })
  }

  #onLoss({ reason, isPermanent, takenOver }: ConnectionLoss): void {
    const advice = `, ${this.#settings.clientId}: use another clientId in each process; the option group shares messages`
    const text = takenOver ? reason + advice : reason
    if (text === this.#lossReason) return
    this.#lossReason = text
    this.#warn(`${isPermanent ? 'E_MQTT_REFUSED ' : ''}${this.address}`)
  }

  #warn(text: string): void {
    warnOfTrigger(this.#bus, this.#settings.name, text)
  }

  /** The longest delay if another client took over, or if retrying cannot help. */
  #delay({ isPermanent, takenOver }: ConnectionLoss): number {
    const ms = isPermanent || takenOver ? Infinity : minReconnectDelayMs * 2 ** this.#failures++
    return Math.min(ms, maxReconnectDelayMs) * (0.75 + Math.random() / 2)
  }
}

/** Publishes a sample to the first topic, as another client. @throws E_MQTT_REFUSED */
async function publishSample(
  { connectAsync }: typeof Mqtt,
  settings: MqttSettings,
  signal?: AbortSignal,
): Promise<void> {
  const clientId = `tidings-sample-${randomUUID().slice(0, 8)}`
  let client: Mqtt.MqttClient | undefined
  const leave = () => void client?.end(true)
  signal?.addEventListener('abort', leave)
  try {
    client = await connectAsync({ ...clientOptions(settings), clientId, clean: true, reconnectPeriod: 0 })
    if (!signal?.aborted)
      await client.publishAsync(sampleTopic(settings.routes.first), JSON.stringify({ sample: true }), { qos: 1 })
  } catch (cause) {
    throw new TidingsError('E_MQTT_REFUSED', `${settings.address}: ${textOf(cause)}`, { cause })
  } finally {
    signal?.removeEventListener('abort', leave)
    await client?.endAsync(signal?.aborted ?? false)
  }
}
