import { hash } from 'node:crypto'
import PostalMime, { type Address, type Email } from 'postal-mime'
import { TidingsError } from '../errors.ts'
import type { Mailbox } from '../received.ts'
import { textOf } from './html.ts'

/*
 * Malformed is: no header at all, a header line that is none, no From or more than one, a From without an address, NUL
 * bytes, a bare CR or LF (with which a second mail is smuggled past a server that reads lines otherwise), headers or
 * nesting beyond the limits, more parts than anybody sends, more lines than base64 needs (the parser keeps every line
 * by itself: 10 MiB of empty ones cost it minutes and gigabytes).
 */

const limits = { maxHeadersSize: 256 * 1024, maxNestingDepth: 32 }
const maxAttachments = 100
const maxLines = (bytes: number) => 100_000 + bytes / 64

export interface Mail {
  /** The same for the same Message-ID with the same body, whatever way it came. */
  id: string
  messageId?: string
  from: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  subject: string
  text: string
  html?: string
  /** ISO 8601, as the sender says. */
  date?: string
  headers: { name: string; value: string }[]
  attachments: { filename: string | null; contentType: string; content: Uint8Array }[]
}

/** @throws E_MAIL_REFUSED */
export async function parseMail(bytes: Buffer): Promise<Mail> {
  const body = checkSyntax(bytes)
  const email = await PostalMime.parse(bytes, limits).catch((error: Error) => {
    throw malformed(error.message)
  })
  if (email.headers.filter(({ key }) => key === 'from').length !== 1) throw malformed('it has not exactly one From')
  const [from] = mailboxes([email.from])
  if (!from) throw malformed('its From names no address')
  if (email.attachments.length > maxAttachments) throw malformed(`it has more than ${maxAttachments} attachments`)
  const messageId = email.messageId?.trim()
  return {
    // Without a Message-ID nothing but the whole text tells one mail from another.
    id: `mail:${messageId ? digest(messageId, digest(body)) : digest(bytes)}`,
    ...(messageId && { messageId }),
    from,
    to: mailboxes(email.to),
    cc: mailboxes(email.cc),
    subject: (email.subject ?? '').trim(),
    text: email.text ?? textOf(email.html ?? ''),
    ...(email.html !== undefined && { html: email.html }),
    ...dateOf(email),
    headers: email.headers.map(({ key, value }) => ({ name: key, value })),
    attachments: email.attachments.map(({ filename, mimeType, content }) => ({
      filename,
      contentType: mimeType,
      content: typeof content === 'string' ? Buffer.from(content) : new Uint8Array(content),
    })),
  }
}

/** Returns the body: what comes after the first empty line. */
function checkSyntax(bytes: Buffer): Buffer {
  if (bytes.includes(0)) throw malformed('it holds a NUL byte')
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at - 1] !== 13) throw malformed('it holds a bare line feed')
    if (++lines > maxLines(bytes.length)) throw malformed('it has too many lines')
  }
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1))
    if (bytes[at + 1] !== 10) throw malformed('it holds a bare carriage return')
  const end = bytes.indexOf('\r\n\r\n')
  const section = end < 0 ? bytes : bytes.subarray(0, end)
  if (section.length > limits.maxHeadersSize) throw malformed('its headers are too large')
  const headers = section.toString('latin1').replace(/\r\n$/, '').split('\r\n')
  const header = /^[!-9;-~]+[ \t]*:/
  // A line that begins with a blank continues the one before it.
  if (!headers.every((line, i) => header.test(line) || (i > 0 && /^[ \t]/.test(line))))
    throw malformed('a line of its header is no header')
  return end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4)
}

const digest = (...parts: (string | Uint8Array)[]) =>
  hash('sha256', Buffer.concat(parts.flatMap(part => [Buffer.from(part), Buffer.of(0)])), 'hex')

const mailboxes = (addresses: readonly (Address | undefined)[] = []): Mailbox[] =>
  addresses
    .flatMap(entry => entry?.group ?? (entry ? [entry] : []))
    .flatMap(({ name, address }) => (address?.includes('@') ? [{ name, address }] : []))

function dateOf({ date }: Email): { date?: string } {
  const time = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(time) ? {} : { date: new Date(time).toISOString() }
}

const malformed = (why: string) => new TidingsError('E_MAIL_REFUSED', `the mail is malformed: ${why}`)
