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

/** Attachments first, then the event that names them. `at`: when it came, ms since the epoch. Returns the id of the event. */
export async function publishMail(
  bus: Bus,
  { id, attachments, ...whole }: Mail,
  envelope: Envelope,
  trusts: TrustsRelay,
  at: number,
): Promise<string> {
  const type = 'email.received'
  // As the relay saw them: decoded, a field that it did not know for its own would read like one.
  const { headers, authentication } = applyRelayTrust(whole.headers, id => trusts(envelope.remoteAddress, id))
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
