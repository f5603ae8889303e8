import { randomUUID } from 'node:crypto'
import { TidingsError } from '../../errors.ts'
import { codes, Refused } from './answers.ts'
import type { LogConnection } from './connection.ts'
import { Names } from './names.ts'
import { Stream, type StreamInfo } from './stream.ts'

/** Ids are known to the server for this long after they were published. */
export const duplicateWindowMs = 120_000
const nanos = 1_000_000

/** The three streams of a log, made where they do not exist yet. */
export interface NatsLog {
  readonly names: Names
  /** Differs when a server came back without its data. */
  readonly identity: string
  readonly replicas: number
  readonly events: Stream
  readonly state: Stream
  readonly blobs: Stream
}

/** @throws E_LOG_UNAVAILABLE, E_BUS_DENIED */
export async function provision(
  connection: LogConnection,
  shards: number,
  replicas: number,
  until?: number,
): Promise<NatsLog> {
  const { log } = connection.address
  const common = {
    storage: 'file',
    retention: 'limits',
    num_replicas: replicas,
    allow_direct: true,
    deny_delete: false,
  }
  const ensure = (config: StreamConfig) => connection.retryUntilAnswered(() => infoOf(connection, config), until)
  const info = await ensure({
    ...common,
    name: log,
    subjects: ['e', 't', 'r', 'w'].map(kind => `${log}.${kind}.>`),
    discard: 'new',
    duplicate_window: duplicateWindowMs * nanos,
    allow_atomic: true,
    metadata: { 'tidings-shards': String(shards), 'tidings-format': '1', 'tidings-log': randomUUID() },
  })
  const single = { ...common, max_msgs_per_subject: 1, discard: 'old', allow_msg_ttl: true }
  await ensure({ ...single, name: `${log}_state`, subjects: [`${log}.s.>`] })
  await ensure({ ...single, name: `${log}_blobs`, subjects: [`${log}.b.>`] })
  const metadata = info.config.metadata ?? {}
  const names = new Names(log, Number(metadata['tidings-shards'] ?? shards))
  const stream = (name: string) => new Stream(connection, name, info.config.num_replicas)
  return {
    names,
    identity: metadata['tidings-log'] ?? '',
    replicas: info.config.num_replicas,
    events: stream(log),
    state: stream(names.state),
    blobs: stream(names.blobs),
  }
}

type StreamConfig = { name: string } & Record<string, unknown>

/** The settings of an existing stream are not changed. */
async function infoOf(connection: LogConnection, config: StreamConfig): Promise<StreamInfo> {
  const info = () => connection.api<StreamInfo>(`STREAM.INFO.${config.name}`)
  try {
    return await info()
  } catch (error) {
    if (!(error instanceof Refused && error.code === codes.noStream)) throw error
  }
  try {
    return await connection.api<StreamInfo>(`STREAM.CREATE.${config.name}`, config)
  } catch (error) {
    // Another process created it first, with another identity.
    if (error instanceof Refused && error.code === codes.nameInUse) return info()
    if (isDeniedAt(error, '.STREAM.CREATE.'))
      throw connection.unavailable(
        'the log does not exist and this user may not create it; start an agent worker first',
      )
    throw error
  }
}

/** Whether the server rejects publishing to a subject, and not the whole user. */
export const isDeniedAt = (error: unknown, subjectPart: string) =>
  error instanceof TidingsError &&
  error.code === 'E_BUS_DENIED' &&
  ((error.cause as { readonly subject?: string } | undefined)?.subject ?? '').includes(subjectPart)
