import { ProtocolError } from '@platformatic/kafka'

/** The broker refused a request, by its name of the reason, such as `PRODUCER_FENCED`. */
export class KafkaRefusal extends Error {
  override readonly name = 'KafkaRefusal'
  readonly code: string

  constructor(code: string, cause: unknown) {
    super(`the broker answers ${code}`, { cause })
    this.code = code
  }
}

/** Undefined if there was no answer. */
export function kafkaRefusalOf(error: unknown): KafkaRefusal | undefined {
  if (error instanceof KafkaRefusal) return error
  const found = protocolErrorIn(error)
  return found && new KafkaRefusal(String(found.apiId), error)
}

/** The client wraps what the broker answers, one error for each partition of a request. */
function protocolErrorIn(error: unknown): ProtocolError | undefined {
  if (error instanceof ProtocolError) return error
  if (error instanceof AggregateError)
    for (const each of error.errors) {
      const found = protocolErrorIn(each)
      if (found) return found
    }
  return undefined
}

export const staleLeader = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
  'NOT_CONTROLLER',
])

export const staleCoordinator = new Set(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE'])

/** The same request may succeed a little later. */
export const isTransientRefusal = (code: string) =>
  staleLeader.has(code) || staleCoordinator.has(code) || others.has(code)

const others = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'CONCURRENT_TRANSACTIONS',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'OFFSET_NOT_AVAILABLE',
  'UNSTABLE_OFFSET_COMMIT',
  'THROTTLING_QUOTA_EXCEEDED',
])
