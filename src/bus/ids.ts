import { hash } from 'node:crypto'

/*
 * Ids say where they come from, so that doing a thing again is harmless and no index is needed to find its task:
 *
 *     task     correlation '.' hash(program, start event)     0199…-….k3v9x0q2ab
 *     turn     task ':' version                                0199….k3v9x0q2ab:0000012
 *     event    turn ':' ordinal                                0199….k3v9x0q2ab:0000012:0   (a call, when it is a request)
 *     answer   call ':result'                                  0199….k3v9x0q2ab:0000012:0:result
 *     asked    call ':approval', before a tool runs            0199….k3v9x0q2ab:0000012:0:approval, answered as a call is
 *
 * Versions are padded so that the order of text is the order of versions. What is derived from an event of another origin
 * is its id, a colon, and more: `EVENT:INSTANCE`, `EVENT:INSTANCE:late`, `EVENT:result`. Triggers begin theirs with their own
 * name and a colon. So one rule keeps all of them apart from what comes from outside: an id from outside has no colon.
 */

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const derived = /^([0-9a-f-]{36}\.[0-9a-z]{10}):(\d{7})(?::(\d+))?(?::([a-z]+(?::[a-z0-9]+)?))?$/

export function isCorrelation(id: unknown): id is string {
  return typeof id === 'string' && uuid.test(id)
}

export function taskId(correlation: string, program: string, startEvent: string): string {
  const digest = BigInt(`0x${hash('sha256', `${program}\0${startEvent}`, 'hex').slice(0, 14)}`)
  return `${correlation}.${digest.toString(36).padStart(10, '0').slice(-10)}`
}

export const turnId = (task: string, version: number) => `${task}:${String(version).padStart(7, '0')}`
export const emitId = (task: string, version: number, ordinal: number) => `${turnId(task, version)}:${ordinal}`
export const resultId = (call: string) => `${call}:result`
export const claimId = (call: string) => `${call}:claim`
export const cancelId = (call: string) => `${call}:cancel`
/** Of the event that starts the successor of a task: there is one, however many ask for it. What begins with the task is in its journal. */
export const retryId = (task: string) => `retry/${task}`
/** Says that a person has seen that this task failed. */
export const dismissedId = (task: string) => `dismissed/${task}`
/** `n`: the how many-th delay of the call it is. */
export const delayedId = (call: string, n: number) => `${call}:delayed:${n}`

const approval = ':approval'
export const approvalId = (call: string) => `${call}${approval}`
/** The call that waits for this approval before it is served; undefined for what a program asked itself. */
export const callOfApproval = (id: string) => (id.endsWith(approval) ? id.slice(0, -approval.length) : undefined)

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

/** Whether it is the id of a task, or of something that a task caused. */
export const isTaskDerivedId = (id: string) => /^[0-9a-f-]{36}\.[0-9a-z]{10}(:|$)/.test(id)

/** Whether only the runtime may mint this id: edges refuse it. */
export const isReservedId = (id: string) =>
  id.includes(':') || isTaskDerivedId(id) || /^(redrive|fork)\//.test(id) || ofRetry.test(id)

const ofRetry = /^(retry|dismissed)\/[0-9a-f-]{36}\.[0-9a-z]{10}$/

/** Longest id from outside: with the longest that is derived from it, it is still an id. */
export const maxOutsideId = 240

const ofTask = /^[0-9a-f-]{36}\.[0-9a-z]{10}$/
export const isTaskId = (id: string) => ofTask.test(id)

export const correlationOf = (task: string) => task.slice(0, 36)

/** When a UUIDv7 was minted, in ms since the epoch; undefined for any other. Source: RFC 9562, section 5.7. */
export function mintedAt(id: string): number | undefined {
  return id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined
}

/** A UUIDv7 of this moment (ms since the epoch) whose other bits follow from the id: the same for the same two. */
export function correlationAt(ms: number, id: string): string {
  const bytes = hash('sha256', id, 'buffer').subarray(0, 16)
  bytes.writeUIntBE(ms, 0, 6)
  return uuidOf(bytes, 7)
}

/** A UUID of version 8, made from a text and not by time. Source: RFC 9562, section 5.8. */
export const correlationFrom = (text: string) => uuidOf(hash('sha256', text, 'buffer').subarray(0, 16), 8)

/**
 * The correlation that stands for another one within a redrive or a fork, and the other way round: of the counterpart it gives the
 * original. The first 48 bits, version and variant stay; the others are XORed with SHA-256 of the id of the redrive.
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

/** Whether a correlation was made by {@link correlationFrom}, or is the counterpart of such a one. */
export const isTextDerived = (correlation: string) => correlation[14] === '8'

/** FNV-1a over the correlation id, modulo the number of shards. Source: draft-eastlake-fnv. */
export function shardOf(correlation: string, shards: number): number {
  let h = 0x811c9dc5
  for (let i = 0; i < correlation.length; i++) h = Math.imul(h ^ correlation.charCodeAt(i), 0x01000193)
  return (h >>> 0) % shards
}
