import { promisify } from 'node:util'
import { constants, deflateRaw } from 'node:zlib'
import type { CloudEvent } from '../../event.ts'

/**
 * Server-sent events with the `event:` line or without it, so that a browser calls `onmessage`; messages of a WebSocket, plain or, if that
 * pays, compressed.
 */
export type FrameFormat = 'event' | 'message' | 'socket' | 'deflated'

/** Bytes of one write. Control frames of a WebSocket may come between two. A client that reads less within the stall timeout is too slow. */
export const maxWriteBytes = 64 * 1024
const minCompressedBytes = 1_024
/** What a flush ends with, which a message leaves out. Source: RFC 7692, section 7.2.1. */
const flushTailBytes = 4
const deflateText = promisify(deflateRaw)

/** An event as the client gets it. `cursor`: the text for the client. Returns what is written at a time. */
export async function encodeEvent(
  format: FrameFormat,
  { cursor, type, json }: { readonly cursor: string; readonly type: string; readonly json: string },
): Promise<Buffer[]> {
  if (!isSocket(format))
    return slices(Buffer.from(`${format === 'event' ? `event: ${type}\n` : ''}id: ${cursor}\ndata: ${json}\n\n`))
  const plain = Buffer.from(`{"cursor":"${cursor}","event":${json}}`)
  if (format !== 'deflated' || plain.length < minCompressedBytes) return socketMessage(plain)
  const bytes = await deflateText(plain, { finishFlush: constants.Z_SYNC_FLUSH })
  return socketMessage(bytes.subarray(0, bytes.length - flushTailBytes), true)
}

const encodedSignals = new WeakMap<CloudEvent, Map<boolean, Buffer[]>>()

/** A signal, which has no cursor. All clients share its bytes. */
export function encodeSignal(format: FrameFormat, event: CloudEvent): Buffer[] {
  const encoded = encodedSignals.get(event) ?? new Map<boolean, Buffer[]>()
  encodedSignals.set(event, encoded)
  let parts = encoded.get(isSocket(format))
  if (!parts) {
    const json = JSON.stringify(event)
    parts = isSocket(format)
      ? socketMessage(Buffer.from(`{"signal":${json}}`))
      : slices(Buffer.from(`event: signal\ndata: ${json}\n\n`))
    encoded.set(isSocket(format), parts)
  }
  return parts
}

/** A text message of a server, in fragments if it is large. Source: RFC 6455, section 5.2, and RFC 7692, section 6. */
export function socketMessage(payload: Buffer, isCompressed = false): Buffer[] {
  const pieces = slices(payload)
  return pieces.map((bytes, i) => {
    const header = headerOf(bytes.length)
    header[0] = (i === pieces.length - 1 ? 0x80 : 0) | (i === 0 ? 0x01 : 0) | (i === 0 && isCompressed ? 0x40 : 0)
    return Buffer.concat([header, bytes])
  })
}

function headerOf(length: number): Buffer {
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  if (length < 126) header[1] = length
  else if (length < 65_536) {
    header[1] = 126
    header.writeUInt16BE(length, 2)
  } else {
    header[1] = 127
    header.writeBigUInt64BE(BigInt(length), 2)
  }
  return header
}

const isSocket = (format: FrameFormat) => format === 'socket' || format === 'deflated'

function slices(bytes: Buffer): Buffer[] {
  const count = Math.max(1, Math.ceil(bytes.length / maxWriteBytes))
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * maxWriteBytes, (i + 1) * maxWriteBytes))
}

/** Small ones that follow each other become one write. */
export function mergeParts(parts: readonly Buffer[]): Buffer[] {
  const merged: Buffer[] = []
  let small: Buffer[] = []
  let bytes = 0
  const flush = () => {
    if (small.length > 0) merged.push(small.length === 1 ? small[0]! : Buffer.concat(small))
    small = []
    bytes = 0
  }
  for (const part of parts) {
    if (bytes + part.length > maxWriteBytes) flush()
    small.push(part)
    bytes += part.length
  }
  flush()
  return merged
}
