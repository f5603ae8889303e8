import { decodeWords } from 'postal-mime'
import { decodeTransferEncoding } from './decode.ts'
import {
  type HeaderField,
  parseFields,
  decodeParameter,
  parseStructured,
  type StructuredValue,
  fieldValue,
} from './fields.ts'
import { type MailLines, malformed } from './lines.ts'

const maxDepth = 32
const maxParts = 1_000
// RFC 2046 allows 70.
const maxBoundary = 200

/** A part that is not a multipart. A message within the mail is one too, and is not parsed. */
export interface LeafPart {
  type: StructuredValue
  /** In lower case: `attachment`, `inline`, or ''. */
  disposition: string
  /** As the sender wrote it, decoded. */
  filename?: string
  /** Without its brackets. */
  contentId?: string
  content: Buffer
  /** Its multipart/alternative: the same object for all alternatives. */
  alternative?: object
}

/** All leaf parts of a mail, in order. `from`: the line after the header. @throws E_MAIL_REFUSED */
export function leafParts(lines: MailLines, fields: readonly HeaderField[], from: number): LeafPart[] {
  const leaves: LeafPart[] = []
  let parts = 0
  const walk = (part: Part) => {
    if (++parts > maxParts) throw malformed(`it has more than ${maxParts} parts`)
    if (part.depth > maxDepth) throw malformed(`parts are nested deeper than ${maxDepth}`)
    const type = parseStructured(fieldValue(part.fields, 'content-type') ?? part.defaultType)
    if (!/^multipart\/./.test(type.value)) return void leaves.push(leafOf(lines, part, type))
    const alternative = type.value === 'multipart/alternative' ? {} : part.alternative
    const defaultType = type.value === 'multipart/digest' ? 'message/rfc822' : 'text/plain'
    for (const section of multipartSections(lines, part, boundaryOf(type))) {
      const header = lines.header(section.from, section.to)
      const child = { depth: part.depth + 1, defaultType, ...(alternative && { alternative }) }
      walk({ ...child, fields: parseFields(header.lines), from: header.end + 1, to: section.to, end: section.end })
    }
  }
  walk({ fields, from, to: lines.count, end: lines.bytes.length, depth: 0, defaultType: 'text/plain' })
  return leaves
}

/** Lines from `from` up to, but excluding, `to`. `end`: the end of the last line, in bytes. */
interface Range {
  from: number
  to: number
  end: number
}

interface Part extends Range {
  fields: readonly HeaderField[]
  depth: number
  /** The content type if the part names none. */
  defaultType: string
  alternative?: object
}

/** The parts between the boundaries; the line end before a boundary belongs to the boundary. */
function* multipartSections(lines: MailLines, { from, to, end }: Range, boundary: string): Generator<Range> {
  const mark = Buffer.from(`--${boundary}`)
  let open: number | undefined
  let isEmpty = true
  for (let line = from; line < to; line++) {
    const kind = lines.delimits(line, mark)
    if (!kind) continue
    if (open !== undefined) yield { from: open, to: line, end: lines.start(line) - 2 }
    isEmpty = false
    open = kind === 'open' ? line + 1 : undefined
    if (kind === 'closing') break
  }
  if (open !== undefined) yield { from: open, to, end }
  if (isEmpty) throw malformed('a multipart has no parts')
}

function boundaryOf({ params }: StructuredValue): string {
  const boundary = decodeParameter(params, 'boundary')
  if (!boundary) throw malformed('a multipart names no boundary')
  if (boundary.length > maxBoundary) throw malformed(`a boundary is longer than ${maxBoundary} characters`)
  return boundary
}

function leafOf(lines: MailLines, { fields, from, end, alternative }: Part, type: StructuredValue): LeafPart {
  const start = lines.start(from)
  const encoding = /[\w-]+/.exec(parseStructured(fieldValue(fields, 'content-transfer-encoding')).value)?.[0] ?? ''
  const { value: disposition, params } = parseStructured(fieldValue(fields, 'content-disposition'))
  const filename = decodeParameter(params, 'filename') ?? decodeParameter(type.params, 'name')
  const contentId = fieldValue(fields, 'content-id')?.replace(/^<|>$/g, '')
  return {
    type,
    disposition,
    ...(filename && { filename: decodeWords(filename) }),
    ...(contentId && { contentId: contentId.slice(0, maxBoundary) }),
    content: start < end ? decodeTransferEncoding(lines.bytes.subarray(start, end), encoding) : Buffer.alloc(0),
    ...(alternative && { alternative }),
  }
}
