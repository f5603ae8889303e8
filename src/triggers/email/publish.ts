import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import { traceparentFor, ingressSpan } from '../../bus/telemetry/spans.ts'
import { inSpan } from '../../bus/telemetry/tracing.ts'
import type { EmailReceived, Envelope } from '../../received.ts'
import { withoutEncodedSecrets } from './encoded-secrets.ts'
import type { Mail } from './mail.ts'
import { applyRelayTrust, type TrustsRelay } from './authentication-results.ts'
import { toSubject } from '../subject.ts'

const tenant = 'default'

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
    ...(await bus.putBlob(tenant, content)),
  }))
  const data: EmailReceived = { ...mail, attachments: await Promise.all(stored), authentication, envelope }
  const subject = toSubject(bus.redactor, bus.redactor.event({ type, data: { subject: mail.subject } }).data.subject)
  const correlationid = randomUUIDv7()
  const draft = {
    id,
    type,
    source: '/triggers/smtp',
    tenant,
    correlationid,
    ...(subject && { subject }),
  }
  await inSpan(
    bus.redactor,
    () => ingressSpan({ name: 'receive mail', correlation: correlationid, at, attributes }),
    span => bus.publish({ ...draft, ...traceparentFor(span), data }),
  )
  return id
}

const attributes = { [attribute.protocol]: 'smtp' }
