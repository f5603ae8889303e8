import { isUtf8 } from 'node:buffer'
import type { IPublishPacket } from 'mqtt'
import type { Bus, PublishedEvent } from '../../bus/bus.ts'
import { publishFromOutside } from '../../bus/ingress.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import { TidingsError } from '../../errors.ts'
import { defaultTenant, type EventType } from '../../event.ts'
import type { MqttReceived } from '../../received.ts'
import { untyped, type MessageType } from './topics.ts'
import { digestOf } from '../digest.ts'
import { parseJsonOrText, utf8Text, typedPayload } from '../payload.ts'
import { toSubject } from '../subject.ts'

/** A received message. */
export interface MqttMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  /** Resent, because the broker got no answer the first time. */
  readonly dup: boolean
  /** The broker had retained it before the subscription. */
  readonly retained: boolean
  /** Identifies it within its session until the acknowledgement; 0 at QoS 0. */
  readonly packetId: number
  /** User properties, MQTT 5. */
  readonly properties: readonly { name: string; value: string }[]
  /** The publisher declares the payload to be UTF-8. */
  readonly isText: boolean
  /** When it arrived, ms since the epoch. */
  readonly at: number
  /** Of topic and payload: 32 hex digits. */
  readonly digest: string
  /** Derived from the `id` property of the publisher, as in CloudEvents over MQTT; the same in every session. */
  readonly ownId: string | undefined
}

export function toMqttMessage(packet: IPublishPacket): MqttMessage {
  const { topic, qos, dup, retain, messageId = 0, properties: properties5 = {} } = packet
  const { userProperties = {}, payloadFormatIndicator } = properties5
  const payload = Buffer.from(packet.payload as Buffer)
  const properties = Object.entries(userProperties).flatMap(([name, values]) =>
    [values].flat().map(value => ({ name, value })),
  )
  const propertyValue = (name: string) => properties.find(property => property.name === name)?.value
  const digest = shortDigest(topic, payload)
  const id = propertyValue('id')
  return {
    topic,
    payload,
    qos,
    dup,
    retained: retain,
    packetId: messageId,
    properties,
    isText: payloadFormatIndicator === true,
    at: Date.now(),
    digest,
    ownId: id ? `mqtt:id:${shortDigest(id, propertyValue('source') ?? '', digest)}` : undefined,
  }
}

/** 32 hex digits. */
export const shortDigest = (...parts: (string | Uint8Array)[]) => digestOf(...parts).slice(0, 32)

/**
 * Publishes the message under this id.
 * @throws E_EVENT_INVALID, E_EVENT_TOO_LARGE if it can never be stored; else the error of the log
 */
export async function publishMqttMessage(
  bus: Bus,
  message: MqttMessage,
  { id, source, to }: { id: string; source: string; to: MessageType },
): Promise<PublishedEvent> {
  const [type, data] = to === untyped ? [to, await untypedData(bus, message)] : [to.type, await typedData(message, to)]
  const { topic } = bus.redactor.event({ type, data: { topic: message.topic } }).data
  const subject = toSubject(bus.redactor, topic)
  const caller = message.properties.find(({ name }) => name === 'traceparent')?.value
  const draft = { id, type, source, ...(subject && { subject }), data }
  const [published] = await publishFromOutside(bus, { name: 'receive mqtt', caller, at: message.at, attributes }, [
    draft,
  ])
  return published!
}

const attributes = { [attribute.protocol]: 'mqtt' }

async function untypedData(bus: Bus, message: MqttMessage): Promise<MqttReceived> {
  const { topic, qos, retained, properties } = message
  const text = decodeUtf8(message)
  const content =
    text === undefined
      ? { payload: null, raw: await bus.putBlob(defaultTenant, message.payload) }
      : { payload: parseJsonOrText(text) }
  return { topic, qos, retained, ...content, ...(properties.length > 0 && { properties: [...properties] }) }
}

/** @throws E_EVENT_INVALID */
async function typedData(message: MqttMessage, to: EventType): Promise<unknown> {
  const text = decodeUtf8(message)
  if (text === undefined)
    throw new TidingsError('E_EVENT_INVALID', `${to.type}: the payload is not UTF-8, but the type needs JSON or text`)
  return typedPayload(text, to)
}

/** Undefined if the payload is not UTF-8. @throws E_EVENT_INVALID if it is declared to be UTF-8 */
function decodeUtf8({ payload, isText }: MqttMessage): string | undefined {
  const text = utf8Text(payload)
  if (text === undefined && isText && !isUtf8(payload))
    throw new TidingsError('E_EVENT_INVALID', 'the payload is declared to be UTF-8, but is not')
  return text
}
