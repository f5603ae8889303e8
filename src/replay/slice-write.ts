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
import { groupByTurn, isTurn, type RecordedStep } from './order.ts'
import { sliceVersion, type SliceEnd, type SliceLine } from './slice-format.ts'
import { SliceRedactor } from './slice-redact.ts'
import type { RecordedSource } from './source.ts'

/** What was written. */
export interface SliceSummary {
  readonly events: number
  readonly turns: number
  readonly documents: number
  /** Events in which something was redacted that stands on the log in clear. */
  readonly redacted: number
  /** Blobs and documents that the log does not have any more. */
  readonly missing: number
}

export interface SliceOptions {
  /** Without it what is known by its shape is redacted. */
  readonly redactor?: Redactor
  /** Overwrites the file. */
  readonly force?: boolean
}

/**
 * Writes a slice to a file, or to the standard output where that is `-`, in bounded memory. A file that could not be
 * written whole is removed. @throws E_NOT_FOUND when nothing is there to write, E_USAGE when the file exists
 */
export async function writeSlice(
  source: RecordedSource,
  path: string,
  options: SliceOptions = {},
): Promise<SliceSummary> {
  const { redactor = plainRedactor, force = false } = options
  const steps = groupByTurn(source.events())
  const first = await steps.next()
  if (first.done) throw new TidingsError('E_NOT_FOUND', 'nothing of that kind is on this log')
  const writer = new SliceWriter(source, redactor)
  const text = Readable.from(inChunks(writer.lines(first.value, steps)))
  if (path === '-') await pipeline(text, process.stdout, { end: false })
  else await toFile(path, text, force)
  return writer.summary
}

class SliceWriter {
  readonly #source: RecordedSource
  readonly #redaction: SliceRedactor
  readonly #sha256 = createHash('sha256')
  readonly #seenDocuments = new Set<string>()
  #documents = 0
  #events = 0
  #turns = 0
  #missing = 0

  constructor(source: RecordedSource, redactor: Redactor) {
    this.#source = source
    this.#redaction = new SliceRedactor(redactor)
  }

  get summary(): SliceSummary {
    return {
      events: this.#events,
      turns: this.#turns,
      documents: this.#documents,
      redacted: this.#redaction.count,
      missing: this.#missing,
    }
  }

  async *lines(first: RecordedStep, rest: AsyncIterable<RecordedStep>): AsyncGenerator<string> {
    yield this.#line({ tidings: 'slice', version: sliceVersion, time: new Date().toISOString() })
    yield* this.#step(first)
    for await (const step of rest) yield* this.#step(step)
    const end: SliceEnd = {
      events: this.#events,
      documents: this.#documents,
      sha256: this.#sha256.digest('hex'),
    }
    yield `${JSON.stringify({ end })}\n`
  }

  async *#step(step: RecordedStep): AsyncGenerator<string> {
    const { stored, emitted } = this.#redaction.step(step)
    yield* this.#stored(stored)
    for (const each of emitted) yield* this.#stored(each)
  }

  async *#stored({ position, event }: StoredEvent): AsyncGenerator<string> {
    for (const named of documentsNamedBy(event)) yield* this.#document(named)
    this.#events++
    if (isTurn(event)) this.#turns++
    const inputs = isTurn(event) ? event.data.inputs : []
    for (const each of [event, ...inputs]) if (hasBlobData(each)) this.#missing++
    yield this.#line({ position, event } satisfies SliceLine)
  }

  async *#document({ key: document, optional }: NamedDocument): AsyncGenerator<string> {
    if (this.#seenDocuments.has(document)) return
    this.#seenDocuments.add(document)
    const value = await this.#source.document(document)
    if (value === undefined) return void (optional || this.#missing++)
    this.#documents++
    yield this.#line({ document, value: this.#redaction.document(value) } satisfies SliceLine)
  }

  #line(value: object): string {
    const line = `${JSON.stringify(value)}\n`
    this.#sha256.update(line)
    return line
  }
}

/** Optional where an event may have none. */
interface NamedDocument {
  readonly key: string
  readonly optional?: true
}

/**
 * The documents without which an event cannot be understood: of a request to a model what the model is told, of a turn the
 * definition that decided it, which only workflows have.
 */
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
      throw new TidingsError('E_USAGE', `${path} exists; with --force it is overwritten`, { cause: error })
    await rm(path, { force: true })
    throw error
  }
}

function compression(path: string): Transform[] {
  if (path.endsWith('.gz')) return [createGzip()]
  return path.endsWith('.zst') ? [createZstdCompress()] : []
}
