import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type * as Mqtt from 'mqtt'
import type { Bus } from '../../bus/bus.ts'
import { settledOrAborted } from '../../bus/abort.ts'
import { TidingsError, textOf } from '../../errors.ts'
import { clientOptions, Connection, type ConnectionLoss } from './connection.ts'
import { MqttInbox, say } from './inbox.ts'
import { Session } from './session.ts'
import { mqttSettings, type MqttOptions, type MqttSettings } from './settings.ts'
import { sampleTopic } from './topics.ts'
import type { RunningTrigger, Trigger } from '../trigger.ts'

export type { MqttOptions } from './settings.ts'
export type { MqttTopics } from './topics.ts'

// Before the next attempt; twice as long each time. What held for so long begins anew.
const [shortestMs, longestMs] = [200, 30_000]
const steadyMs = 10_000

/**
 * Takes messages from an MQTT broker: each one is on the log before it is acknowledged. The session stays with the broker while
 * nobody is there, with what comes meanwhile. `docs/triggers/mqtt.md` says what is promised for each QoS.
 * @throws E_APP_INVALID, E_SETTING_INVALID
 */
export function mqtt(options: MqttOptions): Trigger {
  const settings = mqttSettings(options)
  return {
    kind: 'trigger',
    name: settings.name,
    types: settings.routes.types,
    address: settings.address,
    start: async bus => {
      const receiver = new Receiver(bus, settings, await load())
      await receiver.start()
      return receiver
    },
    sendSample: async (_bus, signal) => knock(await load(), settings, signal),
  }
}

async function load(): Promise<typeof Mqtt> {
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
  #running: Promise<void> = Promise.resolve()
  #failures = 0
  #why = ''

  constructor(bus: Bus, settings: MqttSettings, loaded: typeof Mqtt) {
    this.#bus = bus
    this.#settings = settings
    this.#package = loaded
  }

  get address(): string {
    return this.#why ? `${this.#settings.address} (not connected: ${this.#why})` : this.#settings.address
  }

  /** Resolves when it is subscribed, or waits for the broker. @throws E_MQTT_REFUSED for what waiting does not mend */
  async start(): Promise<void> {
    const { clientId, name, routes, address } = this.#settings
    this.#session = await Session.open(this.#bus, { clientId, source: `/triggers/${name}`, types: routes.types })
    this.#inbox = new MqttInbox(this.#bus, this.#session, this.#settings)
    const loss = await this.#connect()
    if (loss?.isPermanent) throw new TidingsError('E_MQTT_REFUSED', `${address}: ${loss.reason}`)
    if (loss) this.#down(loss)
    this.#running = this.#run(loss)
  }

  async stop(cut?: AbortSignal): Promise<void> {
    this.#stopping.abort()
    await settledOrAborted(this.#inbox.idle(), cut)
    await settledOrAborted(Promise.all([this.#connection?.close(), this.#running]), cut)
  }

  async #run(first: ConnectionLoss | undefined): Promise<void> {
    const { signal } = this.#stopping
    for (let loss = first; !signal.aborted; ) {
      if (loss) {
        await pause(this.#delay(loss), undefined, { signal }).catch(() => {})
        if (!signal.aborted) loss = await this.#connect()
      } else {
        const since = performance.now()
        if (this.#why) say(this.#bus.redactor, this.#settings.name, `connected to ${this.#settings.address}`)
        this.#why = ''
        loss = await this.#connection!.ended
        if (performance.now() - since > steadyMs) this.#failures = 0
      }
      if (loss && !signal.aborted) this.#down(loss)
    }
  }

  /** Until it is subscribed; how it was lost where that fails. */
  async #connect(): Promise<ConnectionLoss | undefined> {
    let connection: Connection | undefined
    try {
      const subscribed = this.#session.filters
      await this.#session.save({ sure: false })
      const opened = this.#open()
      connection = this.#connection = opened
      const ready = opened.ready().then(present => this.#subscribe(opened, present ? subscribed : []))
      return (await Promise.race([ready, opened.ended])) ?? undefined
    } catch (error) {
      if (connection?.closed.aborted) return connection.ended
      await connection?.close()
      return {
        reason: textOf(error),
        isPermanent: error instanceof TidingsError && error.code === 'E_MQTT_REFUSED',
        takenOver: false,
      }
    }
  }

  #open(): Connection {
    const closed = new AbortController()
    const gone = AbortSignal.any([this.#stopping.signal, closed.signal])
    const connection = new Connection(this.#package, this.#settings, {
      // It only makes the next start quicker.
      onAcknowledged: before => void this.#session.forgetAnswered(before).catch(() => {}),
      onSession: async present => void (present || (await this.#session.reset())),
      onMessage: packet => this.#inbox.receive(packet, gone),
      onRelease: packetId => this.#inbox.release(packetId, gone),
    })
    void connection.ended.then(() => closed.abort())
    return connection
  }

  /** What the session of the broker has already is left as it is, so that nothing retained comes again. */
  async #subscribe(connection: Connection, subscribed: readonly string[]): Promise<void> {
    const { routes, qos, group } = this.#settings
    const wanted = routes.filters.map(filter => `${qos} ${group === undefined ? '' : `$share/${group}/`}${filter}`)
    const filterOf = (entry: string) => entry.slice(2)
    const added = wanted.filter(entry => !subscribed.includes(entry)).map(filterOf)
    const left = new Set(this.#session.possibleFilters.map(filterOf)).difference(new Set(wanted.map(filterOf)))
    await connection.unsubscribe([...left])
    for (const { topic, qos: granted } of await connection.subscribe(added, qos))
      if (granted < qos)
        say(this.#bus.redactor, this.#settings.name, `the broker grants ${topic} at QoS ${granted}, not ${qos}`)
    await this.#session.save({ filters: wanted, sure: true })
  }

  #down({ reason: why, isPermanent: lasting, takenOver }: ConnectionLoss): void {
    const { clientId, name } = this.#settings
    const text = takenOver
      ? `${why}, ${clientId}: each process needs one of its own; the option group shares messages`
      : why
    if (text === this.#why) return
    this.#why = text
    say(this.#bus.redactor, name, `${lasting ? 'E_MQTT_REFUSED ' : ''}${this.address}`)
  }

  /** Who was sent away, or has no chance, does not insist. */
  #delay({ isPermanent: lasting, takenOver }: ConnectionLoss): number {
    const ms = lasting || takenOver ? longestMs : Math.min(longestMs, shortestMs * 2 ** this.#failures++)
    return ms * (0.75 + Math.random() / 2)
  }
}

/** Publishes a sample to the first topic, as somebody else. @throws E_MQTT_REFUSED */
async function knock({ connectAsync }: typeof Mqtt, settings: MqttSettings, signal?: AbortSignal): Promise<void> {
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
