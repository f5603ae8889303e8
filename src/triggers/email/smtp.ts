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
/** How long a mail may take to arrive. */
const patienceMs = 10 * 60_000

/**
 * Takes mail by SMTP: each one is an `email.received` on the log before it is answered with 250. The same mail again
 * is inert. `docs/triggers/email.md` has the options and what is refused, `docs/wire-format.md` the shape of the data.
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
    start: async bus => new Intake(bus, options).start(),
    sendSample: () => sendMailSample(options),
  }
}

class Intake {
  readonly #bus: Bus
  readonly #options: SmtpOptions
  readonly #settings: ReturnType<typeof smtpSettings>
  readonly #load: MemoryLimiter
  readonly #door: SmtpPolicy
  readonly #trusts: TrustsRelay
  readonly #server: SMTPServer
  readonly #underWay = new Set<Promise<void>>()

  /** @throws E_APP_INVALID, E_SETTING_INVALID */
  constructor(bus: Bus, options: SmtpOptions) {
    this.#bus = bus
    this.#options = options
    this.#settings = smtpSettings(options)
    this.#load = new MemoryLimiter(this.#settings.maxBytesAtOnce)
    this.#door = new SmtpPolicy(options, this.#load, bus.redactor)
    this.#trusts = relayTrust(options.relays)
    const { maxBytes, maxConnections } = this.#settings
    this.#server = new SMTPServer({
      ...this.#door.serverOptions(),
      name: 'tidings',
      size: maxBytes,
      maxClients: maxConnections,
      maxRecipients,
      disableReverseLookup: true,
      hideENHANCEDSTATUSCODES: false,
      logger: false,
      // What is under way has ended when the server is closed; whoever is idle hears 421 at once.
      closeTimeout: 1,
      onData: (stream, session, answer) => {
        const received = this.#receive(stream, session).then(
          id => answer(null, `stored as ${id}`),
          (error: unknown) => answer(toSmtpError(this.#bus.redactor, error)),
        )
        this.#underWay.add(received)
        void received.finally(() => this.#underWay.delete(received))
      },
    })
  }

  async start(): Promise<RunningTrigger> {
    const { port, host } = this.#settings
    await listen(this.#server, port, host)
    return {
      address: smtpUrl(host, (this.#server.server.address() as AddressInfo).port, this.#options.tls),
      stop: cut => this.#stop(cut),
    }
  }

  async #receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    if (this.#door.isClosed) throw shuttingDown()
    const at = Date.now()
    const giveUp = () => this.#end(session)
    const late = setTimeout(giveUp, patienceMs)
    try {
      return await this.#load.run(async hold => {
        const bytes = await readMail(stream, this.#settings.maxBytes, hold, giveUp)
        return publishMail(this.#bus, parseMail(bytes), this.#door.envelope(session), this.#trusts, at)
      })
    } finally {
      clearTimeout(late)
    }
  }

  /** Ends a connection in the middle of a mail. */
  #end(session: SMTPServerSession): void {
    for (const connection of this.#server.connections)
      if (connection.session === session) connection.send(421, 'E_MAIL_REFUSED the mail does not end')
  }

  async #stop(cut: AbortSignal | undefined): Promise<void> {
    this.#server.server.close()
    this.#door.close()
    const grace = pause(shutdownGraceMs, undefined, { ref: false })
    await settledOrAborted(Promise.race([Promise.all(this.#underWay), grace]), cut)
    await new Promise<void>(resolve => this.#server.close(resolve))
  }
}

async function listen(server: SMTPServer, port: number, host: string): Promise<void> {
  // Later ones are of single connections, such as one that was reset in the middle of a mail.
  server.on('error', () => {})
  try {
    server.listen(port, host)
    await once(server.server, 'listening')
  } catch (cause) {
    throw listenError({ port, service: 'the SMTP trigger', setting: 'TIDINGS_SMTP_PORT' }, cause)
  }
}
