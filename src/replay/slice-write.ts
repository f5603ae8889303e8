import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { hasBlobData } from '../bus/routed.ts'
import { plainRedactor, type Redactor } from '../bus/redact.ts'
import { replayId, effectPolicyKey } from '../tasks/effects.ts'
import { definitionDocument } from '../tasks/instances.ts'
import { emittedHash } from '../tasks/turn.ts'
import { groupByTurn, isTurn, type RecordedStep, type TurnEvent } from './order.ts'
import { sliceVersion, type SliceEnd, type SliceLine } from './slice-format.ts'
import type { RecordedSource } from './source.ts'

export interface SliceSummary {
  readonly events: number
  readonly turns: number
  readonly documents: number
  /** Events that the log stores in clear and the slice redacted. */
  readonly redacted: number
  /** Blobs and documents that are no longer on the log. */
  readonly missing: number
}

export interface SliceOptions {
  /** Default: redacts only secrets with a known shape. */
  readonly redactor?: Redactor
  readonly force?: boolean
}

/**
 * Writes a slice to a file, or to standard output if the path is `-`, in bounded memory. Removes a partly written file.
 * @throws E_NOT_FOUND if there is no event to write, E_USAGE if the file exists
 */
export async function writeSlice(
  source: RecordedSource,
  path: string,
  options: SliceOptions = {},
): Promise<SliceSummary> {
  const { redactor, force = false } = options
  const { text, writer } = await openSlice(source, redactor)
  if (path === '-') await pipeline(text, process.stdout, { end: false })
  else await toFile(path, text, force)
  return writer.summary
}

/** The text of a slice, in bounded memory. @throws E_NOT_FOUND if there is no event in it */
export async function openSlice(
  source: RecordedSource,
  redactor: Redactor = plainRedactor,
): Promise<{ readonly text: Readable; readonly writer: { readonly summary: SliceSummary } }> {
  const steps = groupByTurn(source.events())
  const first = await steps.next()
  if (first.done)
    throw new TidingsError('E_NOT_FOUND', 'the selection contains no event', { next: 'Widen the selection.' })
  const writer = new SliceWriter(source, redactor)
  return { text: Readable.from(inChunks(writer.lines(first.value, steps))), writer }
}

class SliceWriter {
  readonly #source: RecordedSource
  readonly #redaction: SliceRedactor
  readonly #sha256 = createHash('sha256')
  readonly #seenDocuments = new Set<string>()
  readonly #counts = { events: 0, turns: 0, documents: 0, missing: 0 }

  constructor(source: RecordedSource, redactor: Redactor) {
    this.#source = source
    this.#redaction = new SliceRedactor(redactor)
  }

  get summary(): SliceSummary {
    return { ...this.#counts, redacted: this.#redaction.count }
  }

  async *lines(first: RecordedStep, rest: AsyncIterable<RecordedStep>): AsyncGenerator<string> {
    yield this.#line({ tidings: 'slice', version: sliceVersion, time: new Date().toISOString() })
    yield* this.#step(first)
    for await (const step of rest) yield* this.#step(step)
    const { events, documents } = this.#counts
    const end: SliceEnd = { events, documents, sha256: this.#sha256.digest('hex') }
    yield `${JSON.stringify({ end })}\n`
  }

  async *#step(step: RecordedStep): AsyncGenerator<string> {
    const { stored, emitted } = this.#redaction.step(step)
    yield* this.#stored(stored)
    for (const each of emitted) yield* this.#stored(each)
  }

  async *#stored({ position, event }: StoredEvent): AsyncGenerator<string> {
    for (const named of documentsNamedBy(event)) yield* this.#document(named)
    this.#counts.events++
    if (isTurn(event)) this.#counts.turns++
    const inputs = isTurn(event) ? event.data.inputs : []
    for (const each of [event, ...inputs]) if (hasBlobData(each)) this.#counts.missing++
    yield this.#line({ position, event } satisfies SliceLine)
  }

  async *#document({ key: document, optional }: NamedDocument): AsyncGenerator<string> {
    if (this.#seenDocuments.has(document)) return
    this.#seenDocuments.add(document)
    const value = await this.#source.document(document)
    if (value === undefined) return void (optional || this.#counts.missing++)
    this.#counts.documents++
    yield this.#line({ document, value: this.#redaction.document(value) } satisfies SliceLine)
  }

  #line(value: object): string {
    const line = `${JSON.stringify(value)}\n`
    this.#sha256.update(line)
    return line
  }
}

/** `optional`: the event may have no such document. */
interface NamedDocument {
  readonly key: string
  readonly optional?: true
}

/** The definition of a model call, the effect policy of a replay, and the workflow definition that decided a turn. */
export function documentsNamedBy(event: CloudEvent): NamedDocument[] {
  const { type, data, replay } = event
  const { definition } = (type === 'model.invoke' ? (data ?? {}) : {}) as { definition?: unknown }
  return [
    ...(typeof definition === 'string' ? [{ key: definition }] : []),
    ...(replay === undefined ? [] : [{ key: effectPolicyKey(replayId(replay)) }]),
    ...(isTurn(event)
      ? [{ key: definitionDocument(event.data.program, event.data.programHash), optional: true as const }]
      : []),
  ]
}

const chunkChars = 64 * 1024

async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let chunk = ''
  for await (const line of lines) {
    chunk += line
    if (chunk.length < chunkChars) continue
    yield chunk
    chunk = ''
  }
  yield chunk
}

async function toFile(path: string, text: Readable, force: boolean): Promise<void> {
  const file = createWriteStream(path, { flags: force ? 'w' : 'wx' })
  try {
    await pipeline([text, ...compression(path), file])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new TidingsError('E_USAGE', `file "${path}" exists: use --force to overwrite it`, { cause: error })
    await rm(path, { force: true })
    throw error
  }
}

function compression(path: string): Transform[] {
  if (path.endsWith('.gz')) return [createGzip()]
  return path.endsWith('.zst') ? [createZstdCompress()] : []
}

/**
 * Redacts what the log stores in clear, for example because a rule was declared later. A replay of the slice sees redacted inputs, so the
 * digests that turns contain (of emitted data and of the state) are replaced or removed too.
 */
class SliceRedactor {
  readonly #redactor: Redactor
  /** Tasks with a changed turn. The digest of their state no longer matches. */
  readonly #redactedTasks = new Set<string>()
  count = 0

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  document(value: string): string {
    return this.#redactor.json(value)
  }

  step({ stored, emitted }: RecordedStep): RecordedStep {
    if (!isTurn(stored.event)) return { stored: { ...stored, event: this.#redactEvent(stored.event) }, emitted }
    const cleaned = emitted.map(each => ({ ...each, event: this.#redactEvent(each.event) }))
    const changed = cleaned.filter(({ event }, i) => event !== emitted[i]!.event)
    const changes = new Map(changed.map(({ event }) => [event.id, emittedHash(event.data)]))
    return { stored: { ...stored, event: this.#redactTurn(stored.event, changes) }, emitted: cleaned }
  }

  #redactTurn(turn: TurnEvent, hashes: ReadonlyMap<string, string>): CloudEvent {
    const cleaned = this.#redactEvent(turn) as TurnEvent
    const task = turn.id.slice(0, turn.id.lastIndexOf(':'))
    if (cleaned !== turn || hashes.size > 0) this.#redactedTasks.add(task)
    if (!this.#redactedTasks.has(task)) return turn
    const { stateHash: _, ...data } = cleaned.data
    const emits = data.emits.map(emit => ({ ...emit, hash: hashes.get(emit.id) ?? emit.hash }))
    return { ...cleaned, data: { ...data, emits } }
  }

  #redactEvent(event: CloudEvent): CloudEvent {
    const cleaned = this.#redactor.event(event)
    if (cleaned !== event) this.count++
    return cleaned
  }
}
