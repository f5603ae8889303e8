import { sendMailSample } from './sample.ts'
import { checkSmtpOptions, listenAddress, type SmtpOptions, smtpUrl } from './options.ts'
import type { Trigger } from '../trigger.ts'

export type { SmtpOptions } from './options.ts'

/**
 * Accepts mail by SMTP: each mail is an `email.received` on the log before it is answered with 250. A repeated mail has no
 * effect. `docs/triggers/email.md` has the options and what is refused, `docs/wire-format.md` the shape of the data.
 * @example smtp({ port: 2525, recipients: ['desk@example.com'] })
 */
export function smtp(options: SmtpOptions = {}): Trigger {
  checkSmtpOptions(options)
  return {
    kind: 'trigger',
    name: 'smtp',
    types: ['email.received'],
    get address() {
      const { host, port } = listenAddress(options)
      return smtpUrl(host, port, options.tls)
    },
    // Loads what reads mail only where mail is received.
    start: async bus => (await import('./server.ts')).startSmtp(bus, options),
    sendSample: () => sendMailSample(options),
  }
}
