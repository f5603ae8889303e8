import { type Address, addressParser, decodeWords } from 'postal-mime'
import type { EmailReceived, Mailbox } from '../../received.ts'
import { digestOf } from '../digest.ts'
import { unflow } from './flowed.ts'
import { htmlReader } from './html.ts'
import { decodeText } from './decode.ts'
import { type HeaderField, parseFields, fieldValue } from './fields.ts'
import { safeFilename } from './filename.ts'
import { MailLines, malformed } from './lines.ts'
import { type LeafPart, leafParts } from './parts.ts'

/*
 * Parts are parsed here, not by postal-mime, which parses only addresses and encoded words: it took 26 s and 4.7 GB for 10 MiB
 * of `a=` in base64, and did not end for `<a href="` in HTML or nested messages. This parser needs linear time and memory.
 * The limits are counts, so that every machine accepts and rejects the same mails.
 */

const maxFields = 1_000
const maxAddresses = 1_000
const maxAttachments = 100

export interface Mail extends Omit<EmailReceived, 'attachments' | 'authentication' | 'envelope'> {
  /** Follows from the Message-ID and the body, whatever the route. */
  id: string
  attachments: (Omit<EmailReceived['attachments'][number], 'bytes' | 'blob'> & { content: Uint8Array })[]
}

/** @throws E_MAIL_REFUSED */
export function parseMail(bytes: Buffer): Mail {
  const lines = new MailLines(bytes)
  const header = lines.header(0, lines.count)
  const fields = checkedFields(header.lines)
  const leaves = leafParts(lines, fields, header.end + 1)
  const messageId = fieldValue(fields, 'message-id')
  const body = bytes.subarray(lines.start(header.end + 1))
  const [texts, attachmentParts] = [leaves.filter(isText), leaves.filter(leaf => !isText(leaf))]
  if (attachmentParts.length > maxAttachments) throw malformed(`it has more than ${maxAttachments} attachments`)
  const html = texts.filter(isHtml).map(decodedText)
  return {
    // Without a Message-ID the whole text identifies the mail.
    id: `mail:${messageId ? digestOf(messageId, digestOf(body)) : digestOf(bytes)}`,
    ...(messageId && { messageId }),
    ...addressesOf(fields),
    subject: decodeWords(fieldValue(fields, 'subject') ?? '').trim(),
    text: readableText(texts),
    ...(html.length > 0 && { html: html.join('\n') }),
    ...dateOf(fieldValue(fields, 'date')),
    headers: fields,
    attachments: attachmentParts.map(attachmentOf),
  }
}

/** @throws E_MAIL_REFUSED for a line that is not a field, and for too many fields */
function checkedFields(lines: readonly string[]): HeaderField[] {
  const field = /^[!-9;-~]+[ \t]*:/
  // A line that starts with a blank continues the previous one.
  if (lines.length === 0 || !lines.every((line, i) => field.test(line) || (i > 0 && /^[ \t]/.test(line))))
    throw malformed('a line of its header is not a header field')
  const fields = parseFields(lines)
  if (fields.length > maxFields) throw malformed(`it has more than ${maxFields} header fields`)
  return fields
}

/** @throws E_MAIL_REFUSED unless there is exactly one From with an address */
function addressesOf(fields: readonly HeaderField[]): { from: Mailbox; to: Mailbox[]; cc: Mailbox[] } {
  const all = (name: string) =>
    fields.filter(field => field.name === name).flatMap(({ value }) => mailboxes(addressParser(value)))
  if (fields.filter(({ name }) => name === 'from').length !== 1) throw malformed('it must have exactly one From')
  const [from] = all('from')
  if (!from) throw malformed('its From has no address')
  const [to, cc] = [all('to'), all('cc')]
  if (to.length + cc.length > maxAddresses) throw malformed(`it has more than ${maxAddresses} recipients`)
  return { from, to, cc }
}

const mailboxes = (addresses: readonly Address[]): Mailbox[] =>
  addresses
    .flatMap(entry => entry.group ?? [entry])
    .flatMap(({ name, address }) => (address?.includes('@') ? [{ name, address }] : []))

const isText = ({ type: { value }, disposition }: LeafPart) =>
  disposition !== 'attachment' && (value === 'text/html' || !value.includes('/') || value === 'text/plain')
const isHtml = ({ type }: LeafPart) => type.value === 'text/html'
const decodedText = ({ type, content }: LeafPart) =>
  decodeText(content, type.params.get('charset')).replaceAll('\r\n', '\n')

function plainText(leaf: LeafPart): string {
  const has = (name: string, value: string) => leaf.type.params.get(name)?.toLowerCase() === value
  const text = decodedText(leaf)
  return has('format', 'flowed') ? unflow(text, has('delsp', 'yes')) : text
}

/** The text for a reader without HTML. HTML is converted only without a plain alternative; some mailers add an empty one. */
function readableText(leaves: readonly LeafPart[]): string {
  const readHtml = htmlReader()
  const parts = leaves
    .map(leaf => ({ leaf, text: isHtml(leaf) ? undefined : plainText(leaf) }))
    .filter(({ leaf, text }) => !leaf.alternative || text === undefined || /\S/.test(text))
  const withPlain = new Set(parts.map(({ leaf, text }) => (text === undefined ? undefined : leaf.alternative)))
  return parts
    .filter(({ leaf, text }) => text !== undefined || !leaf.alternative || !withPlain.has(leaf.alternative))
    .map(({ leaf, text }) => text ?? readHtml(decodedText(leaf)))
    .join('\n')
}

const attachmentOf = ({ type, disposition, filename, contentId, content }: LeafPart): Mail['attachments'][number] => ({
  filename: filename === undefined ? null : safeFilename(filename),
  contentType: type.value,
  disposition: disposition === 'inline' ? 'inline' : 'attachment',
  ...(contentId && { contentId }),
  content,
})

function dateOf(date = ''): { date?: string } {
  const time = Date.parse(date)
  return Number.isNaN(time) ? {} : { date: new Date(time).toISOString() }
}
