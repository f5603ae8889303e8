import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import type { MessagePart } from '../../tasks/conversation.ts'

export interface PostedFile {
  readonly mediaType: string
  readonly filename?: string | undefined
  /** A data URL, an https URL, or that of an attachment. */
  readonly url: string
}

/** Where the files of a message are. */
export interface PostedFiles {
  readonly bus: Bus
  readonly tenant: string
  /** The attachment that an address of this gateway names. */
  blobIn(url: string): string | undefined
}

/** A file of a message. What comes with the message is stored as a blob. @throws E_REQUEST_INVALID */
export async function filePart(
  { bus, tenant, blobIn }: PostedFiles,
  { mediaType, filename, url }: PostedFile,
): Promise<MessagePart> {
  const about = { type: 'file', mediaType, ...(filename !== undefined && { filename }) } as const
  const data = /^data:[^,]*?(;base64)?,(.*)$/s.exec(url)
  if (data) {
    const bytes = data[1] ? Buffer.from(data[2]!, 'base64') : percentDecoded(data[2]!)
    return { ...about, blob: (await bus.putBlob(tenant, bytes)).blob }
  }
  const blob = blobIn(url)
  if (blob !== undefined) return { ...about, blob }
  if (URL.canParse(url) && new URL(url).protocol === 'https:') return { ...about, url }
  throw new TidingsError(
    'E_REQUEST_INVALID',
    'the url of a file must be a data URL, an https URL, or that of an attachment',
  )
}

/** The input of a request with these parts: a single text by itself, else the list. */
export function inputOfParts(parts: readonly MessagePart[]): string | readonly MessagePart[] {
  const [first] = parts
  return parts.length === 1 && first?.type === 'text' ? first.text : parts
}

/** @throws E_REQUEST_INVALID */
function percentDecoded(text: string): Buffer {
  try {
    return Buffer.from(decodeURIComponent(text))
  } catch (cause) {
    throw new TidingsError('E_REQUEST_INVALID', 'the data URL of a file is not percent-encoded', { cause })
  }
}
