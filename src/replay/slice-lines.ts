import { createHash } from 'node:crypto'
import { textOf, TidingsError } from '../errors.ts'
import type { Position, StoredEvent } from '../bus/driver.ts'
import { isCorrelation } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { sliceVersion, type SliceEnd, type SliceLine } from './slice-format.ts'

const lineFeed = 10
/** A longer line means that the file is damaged. */
const maxLineBytes = 256 * 1024 * 1024

/**
 * Reads the bytes of a slice in bounded memory, without its compression. A truncated or changed slice fails at its end at the latest.
 * @param name of the file, for errors
 * @throws E_SLICE_INVALID
 */
export async function* sliceLines(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<SliceLine> {
  const sha256 = createHash('sha256')
  let [events, documents, at] = [0, 0, 0]
  let end: SliceEnd | undefined
  const problem = (text: string, cause?: unknown) =>
    new TidingsError('E_SLICE_INVALID', `${name}, line ${at}: ${text}`, { cause })
  try {
    for await (const bytes of linesOf(chunks)) {
      at++
      const line = parseLine(bytes)
      if (line === undefined) throw problem('expected a JSON object')
      if (end) throw problem('this line follows the end of the slice')
      if (at === 1) checkHeader(line, problem)
      else if (isEnd(line)) {
        end = line.end
        if (end.events !== events || end.documents !== documents)
          throw problem(
            `counts ${end.events} events and ${end.documents} documents, but the file has ${events} and ${documents}`,
          )
        if (end.sha256 !== sha256.digest('hex')) throw problem('the digest does not match: the file was changed')
        continue
      } else if (isDocument(line)) {
        documents++
        yield line
      } else {
        const stored = storedIn(line)
        if (!stored) throw problem('expected an event, a document or the end')
        events++
        yield stored
      }
      sha256.update(bytes).update('\n')
    }
  } catch (error) {
    if (error instanceof TidingsError) throw error
    at++
    throw problem(`the file is truncated or damaged: ${textOf(error)}`, error)
  }
  at++
  if (!end) throw problem('the file is truncated here: its last line is missing')
}

/** Lines without their line feeds. Other line separators are part of the text. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream) {
    let start = 0
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      parts.push(chunk.subarray(start, end))
      yield parts.length === 1 ? parts[0]! : joined(parts)
      parts = []
      length = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    length += chunk.length - start
    if (length > maxLineBytes) throw new Error(`a line is longer than ${maxLineBytes} bytes`)
  }
  if (parts.length > 0) yield joined(parts)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const decoder = new TextDecoder()

function parseLine(bytes: Uint8Array): object | undefined {
  try {
    const value = JSON.parse(decoder.decode(bytes)) as unknown
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function checkHeader(line: { tidings?: unknown; version?: unknown }, problem: (text: string) => TidingsError): void {
  if (line.tidings !== 'slice') throw problem('the file is not a slice of a log')
  if (line.version !== 1 && line.version !== sliceVersion)
    throw problem(
      `the format version is ${String(line.version)}, and this version of Tidings reads 1 and ${sliceVersion}`,
    )
}

const isEnd = (line: object): line is { end: SliceEnd } => 'end' in line && typeof line.end === 'object' && !!line.end

const isDocument = (line: object): line is Extract<SliceLine, { document: string }> =>
  'document' in line && typeof line.document === 'string' && 'value' in line && typeof line.value === 'string'

function storedIn(line: { position?: unknown; event?: unknown }): StoredEvent | undefined {
  const position = Number.isSafeInteger(line.position) ? { partition: 0, offset: line.position } : line.position
  const { partition, offset } = (position ?? {}) as Partial<Position>
  const { id, type, correlationid } = (line.event ?? {}) as Partial<CloudEvent>
  const isEvent = typeof id === 'string' && typeof type === 'string' && isCorrelation(correlationid)
  return isEvent && Number.isSafeInteger(partition) && Number.isSafeInteger(offset)
    ? { position: position as Position, event: line.event as CloudEvent }
    : undefined
}
