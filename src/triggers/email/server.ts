import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Bus } from '../../bus/bus.ts'
import { openPort, settledWithinGrace } from '../../http/listen.ts'
import { parseMail } from './mail.ts'
import { relayTrust } from './authentication-results.ts'
import { publishMail } from './publish.ts'
import { shuttingDown, SmtpPolicy } from './policy.ts'
import { readMail } from './read-mail.ts'
import { smtpSettings, type SmtpOptions, smtpUrl } from './options.ts'
import { toSmtpError } from './replies.ts'
import type { RunningTrigger } from '../trigger.ts'
import { MemoryLimiter } from '../memory-limiter.ts'

const maxRecipients = 100
const mailTimeoutMs = 10 * 60_000

/** @throws E_APP_INVALID, E_SETTING_INVALID, E_PORT_IN_USE */
export async function startSmtp(bus: Bus, options: SmtpOptions): Promise<RunningTrigger> {
  const { host, port, maxBytes, maxBytesAtOnce, maxConnections } = smtpSettings(options)
  const limiter = new MemoryLimiter(maxBytesAtOnce)
  const policy = new SmtpPolicy(options, limiter, bus.redactor)
  const trustsRelay = relayTrust(options.relays)
  const inProgress = new Set<Promise<void>>()
  const server = new SMTPServer({
    ...policy.serverOptions(),
    name: 'tidings',
    size: maxBytes,
    maxClients: maxConnections,
    maxRecipients,
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    logger: false,
    // Mails in progress have ended when the server closes; idle clients get 421 at once.
    closeTimeout: 1,
    onData: (stream, session, reply) => {
      const received = receive(stream, session).then(
        id => reply(null, `stored as ${id}`),
        (error: unknown) => reply(toSmtpError(bus.redactor, error)),
      )
      inProgress.add(received)
      void received.finally(() => inProgress.delete(received))
    },
  })

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    if (policy.isClosed) throw shuttingDown()
    const at = Date.now()
    const abort = () => abortConnection(server, session)
    const late = setTimeout(abort, mailTimeoutMs)
    try {
      return await limiter.run(async reserve => {
        const bytes = await readMail(stream, maxBytes, reserve, abort)
        return publishMail(bus, parseMail(bytes), { envelope: policy.envelope(session), trustsRelay, at })
      })
    } finally {
      clearTimeout(late)
    }
  }

  // Errors of single connections, such as one that is reset during a mail, must not end the process.
  server.on('error', () => {})
  await openPort(server.server, { host, port, service: 'the SMTP trigger', setting: 'TIDINGS_SMTP_PORT' })
  return {
    address: smtpUrl(host, (server.server.address() as AddressInfo).port, options.tls),
    async stop(abort) {
      server.server.close()
      policy.isClosed = true
      await settledWithinGrace(inProgress, abort)
      await new Promise<void>(resolve => server.close(resolve))
    },
  }
}

/** Ends the connection of a mail that does not end. */
function abortConnection({ connections }: SMTPServer, session: SMTPServerSession): void {
  for (const connection of connections)
    if (connection.session === session) connection.send(421, 'E_MAIL_REFUSED the mail took too long or is too large')
}
