import { TLSSocket } from 'node:tls'
import type { SMTPServerAddress, SMTPServerOptions, SMTPServerSession } from 'smtp-server'
import type { Redactor } from '../../bus/redact.ts'
import type { Envelope } from '../../received.ts'
import { recipientRule } from './recipients.ts'
import { SmtpLogins } from './auth.ts'
import { isLoopback, type SmtpOptions } from './options.ts'
import { closeWith, toSmtpError, mailRefused } from './replies.ts'
import { credentialsOf } from './tls.ts'
import type { MemoryLimiter } from '../memory-limiter.ts'

type Reply = (error?: Error | null) => void
type Tls = NonNullable<Envelope['tls']>

/** Who may deliver, and to whom: all that is decided before a mail begins. */
export class SmtpPolicy {
  readonly #options: SmtpOptions
  readonly #load: MemoryLimiter
  readonly #redactor: Redactor
  readonly #logins: SmtpLogins | undefined
  readonly #allowed: (address: string) => boolean
  readonly #secured = new WeakMap<SMTPServerSession, Tls>()
  #closed = false

  /** @throws E_APP_INVALID, E_SETTING_INVALID */
  constructor(options: SmtpOptions, load: MemoryLimiter, redactor: Redactor) {
    this.#options = options
    this.#load = load
    this.#redactor = redactor
    this.#logins = options.auth && new SmtpLogins(options.auth, redactor)
    this.#allowed = recipientRule(options.recipients)
  }

  /** The part of the server's options that decides. */
  serverOptions(): SMTPServerOptions {
    const { tls } = this.#options
    return {
      ...(tls && { ...credentialsOf(tls), secure: tls.mode === 'implicit', minVersion: 'TLSv1.2' }),
      // Nobody has to log in as far as the server goes: it would ask only those whom it offers a login.
      authOptional: true,
      allowInsecureAuth: true,
      onConnect: (session, answer) => {
        session.disabledCommands = this.#hidden(session)
        answer()
      },
      onSecure: (socket, session, answer) => {
        if (socket instanceof TLSSocket)
          this.#secured.set(session, { version: socket.getProtocol() ?? '', cipher: socket.getCipher().standardName })
        session.disabledCommands = this.#hidden(session)
        answer()
      },
      onAuth: (auth, session, answer) =>
        void this.#logins!.check(auth, session).then(
          user => answer(null, { user }),
          (error: unknown) => answer(toSmtpError(this.#redactor, error)),
        ),
      onMailFrom: (sender, session, answer) => void this.#begin(sender, session).then(() => answer(), answer),
      onRcptTo: ({ address }, _session, answer: Reply) =>
        answer(this.#allowed(address) ? null : mailRefused(550, `${address} does not take mail here`)),
    }
  }

  /** No mail begins any more. */
  close(): void {
    this.#closed = true
  }

  get isClosed(): boolean {
    return this.#closed
  }

  envelope(session: SMTPServerSession): Envelope {
    const { mailFrom, rcptTo } = session.envelope
    const tls = this.#secured.get(session)
    return {
      from: mailFrom ? mailFrom.address : '',
      to: rcptTo.map(({ address }) => address),
      remoteAddress: session.remoteAddress,
      helo: session.hostNameAppearsAs,
      ...(tls && { tls }),
      ...(session.user && { user: session.user as string }),
    }
  }

  /** @throws a refusal */
  async #begin({ args }: SMTPServerAddress, session: SMTPServerSession): Promise<void> {
    if (this.#closed) throw shuttingDown()
    if (this.#options.tls?.mode === 'required' && !session.secure)
      throw mailRefused(530, 'mail is taken over TLS only: STARTTLS comes first')
    if (this.#logins && !this.#options.auth?.optional && !session.user)
      throw mailRefused(530, 'who sends must log in first')
    // Nothing is kept yet, but where there is no room now the mail need not be sent.
    const bytes = args && typeof args.SIZE === 'string' ? Number(args.SIZE) : 0
    await this.#load
      .run(async hold => hold(bytes))
      .catch((error: unknown) => {
        throw toSmtpError(this.#redactor, error)
      })
  }

  /** Commands that there are not for this client. A password that is sent in the clear is known to all: AUTH is not offered then. */
  #hidden({ secure, remoteAddress }: SMTPServerSession): string[] {
    const { tls } = this.#options
    const login = this.#logins && (secure || isLoopback(remoteAddress))
    return [...never, ...(tls ? [] : ['STARTTLS']), ...(login ? [] : ['AUTH'])]
  }
}

/** The first two are of servers in front that are trusted with all; the others are jokes. */
const never = ['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL']

export const shuttingDown = () => closeWith('this server stops; come again in a moment')
