import type { AnyEventType } from '../../event.ts'
import { manifest } from '../../manifest.ts'
import { jsonSchema } from '../../schema.ts'
import { eventShape, frameShape, schemaOf, storedEventShape } from './shapes.ts'

/**
 * The streams of the gateway as an AsyncAPI 3.1 document, with the event types that the app declares.
 * Source: asyncapi.com/docs/reference/specification/v3.1.0.
 */
export function asyncApi(events: readonly AnyEventType[]): object {
  const declared = Object.fromEntries(events.map(event => [event.type, messageOf(event)]))
  const refs = (channel: string) =>
    ['event', ...Object.keys(declared)].map(name => ({ $ref: `#/channels/${channel}/messages/${pointer(name)}` }))
  const messages = Object.fromEntries(
    ['event', ...Object.keys(declared)].map(name => [name, { $ref: `#/components/messages/${pointer(name)}` }]),
  )
  return {
    asyncapi: '3.1.0',
    info: {
      title: 'Tidings streams',
      version: manifest.version,
      description: 'Events of the log as they happen, and how to publish them. docs/wire-format.md is normative.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      stream: {
        address: '/events/stream',
        description:
          'Server-sent events. The `id` of each is an opaque cursor, with which a client resumes (`Last-Event-ID`).',
        messages,
      },
      socket: {
        address: '/events/socket',
        description:
          'The same over a WebSocket: each message is JSON with the cursor and the event, a signal, or an error. The cursor is the parameter `after`.',
        messages: { frame: { $ref: '#/components/messages/frame' } },
        bindings: { ws: { method: 'GET', bindingVersion: '0.1.0' } },
      },
      publish: {
        address: '/events',
        description: 'POST of one event or an array.',
        messages: { draft: { $ref: '#/components/messages/draft' } },
      },
    },
    operations: {
      follow: {
        action: 'send',
        summary: 'The gateway sends events that match the query.',
        channel: { $ref: '#/channels/stream' },
        messages: refs('stream'),
      },
      followBySocket: {
        action: 'send',
        summary: 'The same over a WebSocket.',
        channel: { $ref: '#/channels/socket' },
        messages: [{ $ref: '#/channels/socket/messages/frame' }],
      },
      publish: {
        action: 'receive',
        summary: 'The gateway takes events, and answers when they are on disk.',
        channel: { $ref: '#/channels/publish' },
        messages: [{ $ref: '#/channels/publish/messages/draft' }],
      },
    },
    components: {
      messages: {
        event: { name: 'event', title: 'Any event of the log', payload: schemaOf(storedEventShape) },
        frame: { name: 'frame', title: 'A message of the socket', payload: schemaOf(frameShape) },
        draft: { name: 'draft', title: 'An event to publish', payload: schemaOf(eventShape) },
        ...declared,
      },
    },
  }
}

/** JSON pointer, escaped. Source: RFC 6901. */
const pointer = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

function messageOf({ type, schema }: AnyEventType): object {
  const { properties, ...rest } = schemaOf(storedEventShape) as { properties: Record<string, object> }
  const data = jsonSchema(schema, `the event "${type}"`)
  return { name: type, title: type, payload: { ...rest, properties: { ...properties, type: { const: type }, data } } }
}
