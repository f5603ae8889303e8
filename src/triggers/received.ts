import type { Bus } from '../bus/bus.ts'
import type { Mail, Mailbox } from './mail.ts'

const tenant = 'default'
const maxSubject = 256

/** Data of `email.received`. */
export interface EmailReceived {
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
  attachments: { filename: string | null; contentType: string; bytes: number; blob: string }[]
  envelope: Envelope
}

/** Who said MAIL FROM and RCPT TO, which need not be who the headers name. */
export interface Envelope {
  from: string
  to: string[]
}

/** Attachments first, then the event that names them. Returns the id of the event. */
export async function publishMail(bus: Bus, { id, attachments, ...mail }: Mail, envelope: Envelope): Promise<string> {
  const stored = attachments.map(async ({ content, ...about }) => ({
    ...about,
    ...(await bus.putBlob(tenant, content)),
  }))
  const data: EmailReceived = { ...mail, attachments: await Promise.all(stored), envelope }
  // Redacted before it is cut: half a secret is not known for one.
  const subject = subjectOf(bus.redactor.text(mail.subject))
  await bus.publish({ id, type: 'email.received', source: '/triggers/smtp', tenant, ...(subject && { subject }), data })
  return id
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const control = /[\u0000-\u001f\u007f]+/g

const subjectOf = (subject: string) => subject.replace(control, ' ').trim().slice(0, maxSubject).toWellFormed().trim()
