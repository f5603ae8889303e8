import type { Bus } from '../../bus/bus.ts'
import { publishFromOutside } from '../../bus/ingress.ts'
import { defaultTenant } from '../../event.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import type { EmailReceived, Envelope } from '../../received.ts'
import { withoutEncodedSecrets } from './encoded-secrets.ts'
import type { Mail } from './mail.ts'
import { applyRelayTrust, type TrustsRelay } from './authentication-results.ts'
import { toSubject } from '../subject.ts'

export interface MailReceipt {
  readonly envelope: Envelope
  readonly trustsRelay: TrustsRelay
  /** When the mail arrived, ms since the epoch. */
  readonly at: number
}

/** Stores the attachments, then the event that names them. Returns the event id. */
export async function publishMail(
  bus: Bus,
  { id, attachments, ...whole }: Mail,
  { envelope, trustsRelay, at }: MailReceipt,
): Promise<string> {
  const type = 'email.received'
  // Before decoding: a decoded field could look like one of a relay.
  const { headers, authentication } = applyRelayTrust(whole.headers, id => trustsRelay(envelope.remoteAddress, id))
  const mail = withoutEncodedSecrets(bus.redactor, { ...whole, headers })
  const stored = attachments.map(async ({ content, ...about }) => ({
    ...about,
    ...(await bus.putBlob(defaultTenant, content)),
  }))
  const data: EmailReceived = { ...mail, attachments: await Promise.all(stored), authentication, envelope }
  const subject = toSubject(bus.redactor, bus.redactor.event({ type, data: { subject: mail.subject } }).data.subject)
  const draft = { id, type, source: '/triggers/smtp', ...(subject && { subject }), data }
  await publishFromOutside(bus, { name: 'receive mail', at, attributes }, [draft])
  return id
}

const attributes = { [attribute.protocol]: 'smtp' }
