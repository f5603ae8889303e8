import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Bus } from '../../bus/bus.ts'
import { settledOrAborted } from '../../bus/abort.ts'
import { listenError, shutdownGraceMs } from '../../http/listen.ts'
import { parseMail } from './mail.ts'
import { relayTrust, type TrustsRelay } from './authentication-results.ts'
import { publishMail } from './publish.ts'
import { shuttingDown, SmtpPolicy } from './policy.ts'
import { readMail } from './read-mail.ts'
import { sendMailSample } from './sample.ts'
import { checkSmtpOptions, listenAddress, smtpSettings, type SmtpOptions, smtpUrl } from './options.ts'
import { toSmtpError } from './replies.ts'
import type { RunningTrigger, Trigger } from '../trigger.ts'
import { MemoryLimiter } from '../memory-limiter.ts'

export type { SmtpOptions } from './options.ts'

const maxRecipients = 100
const mailTimeoutMs = 10 * 60_000

/**
 * Accepts mail by SMTP: each mail is an `email.received` on the log before it is answered with 250. A repeated mail has no
 * effect. `docs/triggers/email.md` has the options and what is refused, `docs/wire-format.md` the shape of the data.
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
    start: async bus => new SmtpReceiver(bus, options).start(),
    sendSample: () => sendMailSample(options),
  }
}

class SmtpReceiver {
  readonly #bus: Bus
  readonly #options: SmtpOptions
  readonly #settings: ReturnType<typeof smtpSettings>
  readonly #limiter: MemoryLimiter
  readonly #policy: SmtpPolicy
  readonly #trustsRelay: TrustsRelay
  readonly #server: SMTPServer
  readonly #inProgress = new Set<Promise<void>>()

  /** @throws E_APP_INVALID, E_SETTING_INVALID */
  constructor(bus: Bus, options: SmtpOptions) {
    this.#bus = bus
    this.#options = options
    this.#settings = smtpSettings(options)
    this.#limiter = new MemoryLimiter(this.#settings.maxBytesAtOnce)
    this.#policy = new SmtpPolicy(options, this.#limiter, bus.redactor)
    this.#trustsRelay = relayTrust(options.relays)
    const { maxBytes, maxConnections } = this.#settings
    this.#server = new SMTPServer({
      ...this.#policy.serverOptions(),
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
        const received = this.#receive(stream, session).then(
          id => reply(null, `stored as ${id}`),
          (error: unknown) => reply(toSmtpError(this.#bus.redactor, error)),
        )
        this.#inProgress.add(received)
        void received.finally(() => this.#inProgress.delete(received))
      },
    })
  }

  async start(): Promise<RunningTrigger> {
    const { port, host } = this.#settings
    await listen(this.#server, port, host)
    return {
      address: smtpUrl(host, (this.#server.server.address() as AddressInfo).port, this.#options.tls),
      stop: signal => this.#stop(signal),
    }
  }

  async #receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    if (this.#policy.isClosed) throw shuttingDown()
    const at = Date.now()
    const abort = () => this.#abortConnection(session)
    const late = setTimeout(abort, mailTimeoutMs)
    try {
      return await this.#limiter.run(async reserve => {
        const bytes = await readMail(stream, this.#settings.maxBytes, reserve, abort)
        const envelope = this.#policy.envelope(session)
        return publishMail(this.#bus, parseMail(bytes), { envelope, trustsRelay: this.#trustsRelay, at })
      })
    } finally {
      clearTimeout(late)
    }
  }

  /** Ends the connection of a mail that does not end. */
  #abortConnection(session: SMTPServerSession): void {
    for (const connection of this.#server.connections)
      if (connection.session === session) connection.send(421, 'E_MAIL_REFUSED the mail took too long or is too large')
  }

  async #stop(signal: AbortSignal | undefined): Promise<void> {
    this.#server.server.close()
    this.#policy.close()
    const grace = pause(shutdownGraceMs, undefined, { ref: false })
    await settledOrAborted(Promise.race([Promise.all(this.#inProgress), grace]), signal)
    await new Promise<void>(resolve => this.#server.close(resolve))
  }
}

async function listen(server: SMTPServer, port: number, host: string): Promise<void> {
  // Errors of single connections, such as one that is reset during a mail, must not end the process.
  server.on('error', () => {})
  try {
    server.listen(port, host)
    await once(server.server, 'listening')
  } catch (cause) {
    throw listenError({ port, service: 'the SMTP trigger', setting: 'TIDINGS_SMTP_PORT' }, cause)
  }
}
