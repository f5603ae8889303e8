/* A client of the gateway, for browsers and everything that has fetch. It has no dependency, and imports only types from the rest. */

export type { StreamPart } from '../ask/parts.ts'
export {
  createClient,
  GatewayClient,
  type AskedInput,
  type AskedOutput,
  type ClientAskOptions,
  type ClientDecision,
  type ClientEventOptions,
  type ClientOptions,
} from './client.ts'
export type { ConnectionOptions } from './connection.ts'
export { ClientError } from './errors.ts'
export type { StreamedEvent, StreamFilter } from './event-stream.ts'
export type { ClientEvent, ClientPublished, QueueOptions, QueueStorage } from './publish-queue.ts'
export type { RemoteTaskState } from '../ask/remote-task-state.ts'
export { RemoteTask } from './remote-task.ts'
export { addPart } from './resumed-parts.ts'
