import { randomUUID } from 'node:crypto'
import { TidingsError } from '../../errors.ts'
import { log as logger } from '../../bus/telemetry/log.ts'
import { codes, Refused } from './answers.ts'
import type { LogConnection } from './connection.ts'
import { Names } from './names.ts'
import { NatsLog } from './nats-log.ts'
import { Stream, type StreamInfo } from './stream.ts'

/** Ids are known to the server for this long after they were published. */
export const duplicateWindowMs = 120_000
const nanos = 1_000_000
/**
 * A partition that was lost begins again at the time in ms, times this: above every sequence that the old stream had, so that
 * stored cursors, checkpoints and the starts of groups stay true. Below 2 ** 45 until 2109, as the index needs.
 */
const maxEventsPerMs = 8

/** What a new log is created with. */
export interface LogSettings {
  readonly shards: number
  /** An existing log must have as many; undefined: as many as it has, 1 for a new log. */
  readonly partitions?: number | undefined
  readonly replicas: number
}

const metadata = {
  shards: 'tidings-shards',
  /** Absent on a log of an older version, which has one. */
  partitions: 'tidings-partitions',
  format: 'tidings-format',
  identity: 'tidings-log',
} as const

/**
 * Creates the streams of a log where they do not exist yet. The stream of the state comes first: its metadata say how many
 * partitions the log has. @throws E_LOG_UNAVAILABLE, E_BUS_DENIED, E_SETTING_INVALID
 */
export async function provision(connection: LogConnection, settings: LogSettings, until?: number): Promise<NatsLog> {
  const { log } = connection.address
  const { partitions: wanted, replicas } = settings
  const common = {
    storage: 'file',
    retention: 'limits',
    num_replicas: replicas,
    allow_direct: true,
    deny_delete: false,
  }
  const find = (name: string) => connection.retryUntilAnswered(() => findStream(connection, name), until)
  const create = (config: StreamConfig, lost?: string) =>
    connection.retryUntilAnswered(() => createStream(connection, config, lost), until)
  const ensure = async (config: StreamConfig, lost?: string) => (await find(config.name)) ?? create(config, lost)
  const single = { ...common, max_msgs_per_subject: 1, discard: 'old', allow_msg_ttl: true }
  const state =
    (await find(`${log}_state`)) ??
    (await create({
      ...single,
      name: `${log}_state`,
      subjects: [`${log}.s.>`],
      metadata: {
        [metadata.shards]: String(settings.shards),
        // If it was lost alone, the partitions know how many they are.
        [metadata.partitions]: String(wanted ?? partitionsOf(await find(`${log}_0`).catch(ifDenied))),
        [metadata.identity]: randomUUID(),
      },
    }))
  const shards = Number(state.config.metadata?.[metadata.shards] ?? settings.shards)
  const partitions = partitionsOf(state)
  if (wanted !== undefined && wanted !== partitions) throw otherPartitions(log, partitions, wanted)
  const planned = new Names(log, shards, partitions)
  // The state is written only when all partitions exist, so one that is missing now was lost.
  const wasUsed = state.state.last_seq > 0
  const recreated: number[] = []
  const infos = await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const name = planned.partition(partition)
      const identity = randomUUID()
      const config = {
        ...common,
        name,
        subjects: planned.subjectsOf(partition),
        discard: 'new',
        duplicate_window: duplicateWindowMs * nanos,
        allow_atomic: true,
        ...(wasUsed && { first_seq: Date.now() * maxEventsPerMs }),
        metadata: {
          [metadata.shards]: String(shards),
          [metadata.format]: '1',
          [metadata.identity]: identity,
          ...(partitions > 1 && { [metadata.partitions]: String(partitions) }),
        },
      }
      const info = await ensure(config, wasUsed ? `the broker lost the stream "${name}" of the log` : undefined)
      if (wasUsed && identityOf(info) === identity) recreated.push(partition)
      return info
    }),
  )
  await ensure({ ...single, name: `${log}_blobs`, subjects: [`${log}.b.>`] })
  // An older version stored the number of shards here only.
  const names = new Names(log, Number(infos[0]!.config.metadata?.[metadata.shards] ?? shards), partitions)
  const { num_replicas: copies } = infos[0]!.config
  const stream = (name: string, beginsAt?: number) => new Stream(connection, name, { replicas: copies, beginsAt })
  return new NatsLog({
    names,
    identities: { partitions: infos.map(identityOf), state: identityOf(state) },
    replicas: copies,
    partitions: infos.map(({ config }, partition) => stream(names.partition(partition), config.first_seq)),
    state: stream(names.state),
    blobs: stream(names.blobs),
    recreated,
  })
}

/** A user of a log with one partition may not ask for others. */
const ifDenied = (error: unknown): undefined => {
  if (!isDeniedAt(error, '.STREAM.INFO.')) throw error
}

const partitionsOf = (info?: StreamInfo) => Number(info?.config.metadata?.[metadata.partitions] ?? 1)

const identityOf = ({ config }: StreamInfo) => config.metadata?.[metadata.identity] ?? ''

type StreamConfig = { name: string; subjects: readonly string[] } & Record<string, unknown>

/** Undefined if there is none. @throws E_SETTING_INVALID if it is not of this log */
async function findStream(connection: LogConnection, name: string): Promise<StreamInfo | undefined> {
  const { log } = connection.address
  try {
    const found = await connection.api<StreamInfo>(`STREAM.INFO.${name}`)
    if (found.config.subjects.every(subject => subject.startsWith(`${log}.`))) return found
    throw new TidingsError(
      'E_SETTING_INVALID',
      `the stream "${name}" does not belong to the log "${log}": it stores "${found.config.subjects.join('", "')}". Choose another name for the log`,
    )
  } catch (error) {
    if (error instanceof Refused && error.code === codes.noStream) return undefined
    throw error
  }
}

/** `lost`: what happened, if the stream should exist. */
async function createStream(connection: LogConnection, config: StreamConfig, lost?: string): Promise<StreamInfo> {
  try {
    const created = await connection.api<StreamInfo>(`STREAM.CREATE.${config.name}`, config)
    if (lost) logger.error?.({ stream: config.name }, `${lost}; it is created again, empty`)
    return created
  } catch (error) {
    // Another process created it first, with another identity.
    const other =
      error instanceof Refused && error.code === codes.nameInUse && (await findStream(connection, config.name))
    if (other) return other
    if (error instanceof Refused && error.code === codes.subjectsOverlap)
      throw new TidingsError(
        'E_SETTING_INVALID',
        `the stream "${config.name}" cannot be created: another stream of the server stores its subjects. Remove that stream, or choose another name for the log`,
      )
    if (isDeniedAt(error, '.STREAM.CREATE.'))
      throw connection.unavailable(
        `${lost ?? 'the log does not exist'} and this user may not create it; start an agent worker first`,
      )
    throw error
  }
}

const otherPartitions = (log: string, partitions: number, wanted: number) =>
  new TidingsError(
    'E_SETTING_INVALID',
    `the log "${log}" has ${partitions} ${partitions === 1 ? 'partition' : 'partitions'}, and its address says partitions=${wanted}. The number is fixed when a log is created: remove "partitions" from the address, or name a new log`,
  )

/** Whether the server rejects publishing to a subject, and not the whole user. */
export const isDeniedAt = (error: unknown, subjectPart: string) =>
  error instanceof TidingsError &&
  error.code === 'E_BUS_DENIED' &&
  ((error.cause as { readonly subject?: string } | undefined)?.subject ?? '').includes(subjectPart)
