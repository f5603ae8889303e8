import { hash, randomUUIDv7 } from 'node:crypto'
import { defaultTenant, type Draft } from '../event.ts'

/*
 * Ids are derived from their origin, so that a repetition is idempotent and the task is found without an index:
 *
 *     task     correlation '.' hash(program, start event)     0199…-….k3v9x0q2ab
 *     turn     task ':' version                                0199….k3v9x0q2ab:0000012
 *     event    turn ':' ordinal                                0199….k3v9x0q2ab:0000012:0   (a call, when it is a request)
 *     answer   call ':result'                                  0199….k3v9x0q2ab:0000012:0:result
 *     approval call ':approval', before a tool runs            0199….k3v9x0q2ab:0000012:0:approval, answered like a call
 *     question call ':question:' number, while a tool runs     0199….k3v9x0q2ab:0000012:0:question:1, answered like a call
 *
 * Versions are padded, so that they sort as text. An id derived from another event appends a colon and a suffix:
 * `EVENT:INSTANCE`, `EVENT:INSTANCE:late`, `EVENT:result`. Triggers prefix theirs with their name and a colon. Ids from
 * outside have no colon, so that they never collide with any of these; those of a tenant other than `default` get one,
 * `@TENANT:ID`, so that they never collide with those of another tenant.
 *
 * The correlation of an event from outside follows from its tenant and id, unless the publisher names one: `correlationFor`.
 */

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const derived = /^([0-9a-f-]{36}\.[0-9a-z]{10}):(\d{7})(?::(\d+))?(?::([a-z]+(?::[a-z0-9]+){0,2}))?$/

/** Whether this is the text of a UUID. */
export function isCorrelation(id: unknown): id is string {
  return typeof id === 'string' && uuid.test(id)
}

export function taskId(correlation: string, program: string, startEvent: string): string {
  const digest = BigInt(`0x${hash('sha256', `${program}\0${startEvent}`, 'hex').slice(0, 14)}`)
  return `${correlation}.${digest.toString(36).padStart(10, '0').slice(-10)}`
}

/** The id of the task that runs a workflow: one for each correlation. */
export const instanceId = (correlation: string, workflow: string) => taskId(correlation, workflow, 'instance')

/** Id of a turn: `TASK:0000003`. */
export const turnId = (task: string, version: number) => `${task}:${String(version).padStart(7, '0')}`
export const emitId = (task: string, version: number, ordinal: number) => `${turnId(task, version)}:${ordinal}`
/** Id of the answer to a call: the same for every worker, so that two answers are recognised as one. */
export const resultId = (call: string) => `${call}:result`
export const claimId = (call: string) => `${call}:claim`
/** Id of the cancellation of a call. */
export const cancelId = (call: string) => `${call}:cancel`
/**
 * Id of the event that starts the successor of a task, so that a task has one successor however often it is requested. Only ids that
 * begin with the task id are in its journal.
 */
export const retryId = (task: string) => `retry/${task}`
/** Id of the copy of an event in a redrive, the same each time. */
export const redrivenId = (id: string, redrive: string) => correlationFrom(`${redrive}\0${id}`)
/** Id of the event that takes a failed task off the attention list. */
export const dismissedId = (task: string) => `dismissed/${task}`
/** `n`: number of the delay, counted per call. */
export const delayedId = (call: string, n: number) => `${call}:delayed:${n}`

const approval = ':approval'
export const approvalId = (call: string) => `${call}${approval}`
const question = /:question:\d+$/
/** Id of a request for approval that a running tool made. `n`: counted from 1 per call. */
export const questionId = (call: string, n: number) => `${call}:question:${n}`
export const isQuestionId = (id: string) => question.test(id)
/** The tool call that waits for this approval; undefined for an approval that a program requested. */
export const callOfApproval = (id: string) =>
  id.endsWith(approval) ? id.slice(0, -approval.length) : isQuestionId(id) ? id.replace(question, '') : undefined

/** The parts of an id that a task derives: a turn, an emitted event, or an answer. */
export interface DerivedId {
  task: string
  version: number
  ordinal?: number
  suffix?: string
}

/** Reads an id made by the runtime; undefined for any other. */
export function parseId(id: string): DerivedId | undefined {
  const match = derived.exec(id)
  if (!match) return undefined
  return {
    task: match[1]!,
    version: Number(match[2]),
    ...(match[3] !== undefined && { ordinal: Number(match[3]) }),
    ...(match[4] !== undefined && { suffix: match[4] }),
  }
}

/** Whether it is the id of a task, or derived from one. */
export const isTaskDerivedId = (id: string) => /^[0-9a-f-]{36}\.[0-9a-z]{10}(:|$)/.test(id)

/** Whether only the runtime may mint this id. Publishers from outside are rejected. */
export const isReservedId = (id: string) =>
  id.includes(':') || isTaskDerivedId(id) || /^(redrive|fork)\//.test(id) || ofRetry.test(id)

const ofRetry = /^(retry|dismissed)\/[0-9a-f-]{36}\.[0-9a-z]{10}$/

/** The id of an event from outside of a tenant that has a name. It has a colon, so that no id from outside is the same. */
export const tenantId = (tenant: string, id: string) => `@${tenant}:${id}`

/** Longest id from outside, so that ids derived from it still fit into the limit of ids. */
export const maxOutsideId = 240

const ofTask = /^[0-9a-f-]{36}\.[0-9a-z]{10}$/
export const isTaskId = (id: string) => ofTask.test(id)

/** The correlation of a task, from its id. */
export const correlationOf = (task: string) => task.slice(0, 36)

/** When a UUIDv7 was minted, in ms since the epoch; undefined for any other. Source: RFC 9562, section 5.7. */
export function mintedAt(id: string): number | undefined {
  return id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined
}

/** A UUIDv7 of a time (ms since the epoch) whose other bits are a hash of the id. Deterministic. */
export function correlationAt(ms: number, id: string): string {
  const bytes = hash('sha256', id, 'buffer').subarray(0, 16)
  bytes.writeUIntBE(ms, 0, 6)
  return uuidOf(bytes, 7)
}

/** A UUIDv8: the hash of a text, without a time. Source: RFC 9562, section 5.8. */
export const correlationFrom = (text: string) => uuidOf(hash('sha256', text, 'buffer').subarray(0, 16), 8)

/**
 * The correlation of a draft. Where the publisher sends an id and names no correlation, it follows from tenant and id, so that a repeated
 * publish meets the task of the first one even on a broker that has forgotten the id. It holds no time, because a repetition need not
 * repeat one. Neither a tenant nor an id contains U+0000.
 */
export const correlationFor = ({
  correlationid,
  id,
  tenant = defaultTenant,
}: Pick<Draft, 'correlationid' | 'id' | 'tenant'>) =>
  correlationid ?? (id === undefined ? randomUUIDv7() : correlationFrom(`${tenant}\0${id}`))

/**
 * Maps a correlation to its counterpart in a redrive or fork, and the counterpart back to the original. Keeps the first 48
 * bits, version and variant; XORs the others with SHA-256 of the id of the redrive.
 */
export function counterpart(correlation: string, replay: string): string {
  const bytes = Buffer.from(correlation.replaceAll('-', ''), 'hex')
  const mask = hash('sha256', replay, 'buffer')
  for (let i = 6; i < 16; i++) bytes[i]! ^= mask[i]! & (i === 6 ? 0x0f : i === 8 ? 0x3f : 0xff)
  return textOf(bytes)
}

function uuidOf(bytes: Buffer, version: number): string {
  bytes[6] = (version << 4) | (bytes[6]! & 0x0f)
  bytes[8] = 0x80 | (bytes[8]! & 0x3f)
  return textOf(bytes)
}

const textOf = (bytes: Buffer) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** Whether a correlation was made by {@link correlationFrom}, or is the counterpart of one. */
export const isTextDerived = (correlation: string) => correlation[14] === '8'

/** FNV-1a over the correlation id, modulo the number of shards. Source: draft-eastlake-fnv. */
export function shardOf(correlation: string, shards: number): number {
  let h = 0x811c9dc5
  for (let i = 0; i < correlation.length; i++) h = Math.imul(h ^ correlation.charCodeAt(i), 0x01000193)
  return (h >>> 0) % shards
}

/** The partition that stores a shard. */
export const partitionOf = (shard: number, partitions: number): number => shard % partitions
