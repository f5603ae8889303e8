import {
  assertResumable,
  connections,
  type StreamedEvent,
  type StreamFilter,
} from '../../../src/client/event-stream.ts'
import { serverEvents } from '../../../src/client/server-events.ts'
import { gateway, gatewayUrl } from './connection.ts'
import { socketEvents } from './event-socket.ts'
import { needsCredential } from './query-client.ts'

/**
 * Events as they happen; continues by itself. `rows`: without their payload. `onOpen` is called when no event can be missed any more.
 * @throws ClientError
 */
export const follow = (
  filter: StreamFilter & { readonly rows?: '1' },
  onOpen?: () => void,
): AsyncGenerator<StreamedEvent> =>
  socketEvents({ connection: gateway, url: gatewayUrl, needsCredential }, filter, onOpen)

/** Messages of an event stream of the gateway that cannot resume; each connection begins again. @throws ClientError */
export async function* messages<T>(path: string, event: string, signal: AbortSignal): AsyncGenerator<T> {
  for await (const response of connections(gateway, path, () => undefined, signal))
    for await (const message of serverEvents(response)) {
      if (message.data === undefined) continue
      assertResumable(message.event, message.data)
      if (message.event === event) yield JSON.parse(message.data) as T
    }
}
