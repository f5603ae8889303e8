import { TLSSocket } from 'node:tls'
import type { SMTPServerAddress, SMTPServerOptions, SMTPServerSession } from 'smtp-server'
import type { Redactor } from '../../bus/redact.ts'
import { TidingsError } from '../../errors.ts'
import { isLoopback } from '../../http/listen.ts'
import type { Envelope } from '../../received.ts'
import { SmtpLogins } from './auth.ts'
import type { SmtpOptions } from './options.ts'
import { closeWith, toSmtpError, mailRefused } from './replies.ts'
import { credentialsOf } from './tls.ts'
import type { MemoryLimiter } from '../memory-limiter.ts'

type Reply = (error?: Error | null) => void
type Tls = NonNullable<Envelope['tls']>

/** Decides before a mail begins who may send, and to whom. */
export class SmtpPolicy {
  readonly #options: SmtpOptions
  readonly #limiter: MemoryLimiter
  readonly #redactor: Redactor
  readonly #logins: SmtpLogins | undefined
  readonly #acceptsRecipient: (address: string) => boolean
  readonly #tlsSessions = new WeakMap<SMTPServerSession, Tls>()
  /** Set when the server stops: further mails are rejected. */
  isClosed = false

  /** @throws E_APP_INVALID, E_SETTING_INVALID */
  constructor(options: SmtpOptions, limiter: MemoryLimiter, redactor: Redactor) {
    this.#options = options
    this.#limiter = limiter
    this.#redactor = redactor
    this.#logins = options.auth && new SmtpLogins(options.auth, redactor)
    this.#acceptsRecipient = recipientRule(options.recipients)
  }

  /** The options of the SMTP server that apply this policy. */
  serverOptions(): SMTPServerOptions {
    const { tls } = this.#options
    return {
      ...(tls && { ...credentialsOf(tls), secure: tls.mode === 'implicit', minVersion: 'TLSv1.2' }),
      // This policy requires the login, because the server would not require one from clients without AUTH.
      authOptional: true,
      allowInsecureAuth: true,
      onConnect: (session, reply) => {
        session.disabledCommands = this.#disabledCommands(session)
        reply()
      },
      onSecure: (socket, session, reply) => {
        if (socket instanceof TLSSocket) {
          const tls = { version: socket.getProtocol() ?? '', cipher: socket.getCipher().standardName }
          this.#tlsSessions.set(session, tls)
        }
        session.disabledCommands = this.#disabledCommands(session)
        reply()
      },
      onAuth: (auth, session, reply) =>
        void this.#logins!.check(auth, session).then(
          user => reply(null, { user }),
          (error: unknown) => reply(toSmtpError(this.#redactor, error)),
        ),
      onMailFrom: (sender, session, reply) => void this.#assertMayStart(sender, session).then(() => reply(), reply),
      onRcptTo: ({ address }, _session, reply: Reply) => {
        const isAccepted = this.#acceptsRecipient(address)
        reply(isAccepted ? null : mailRefused(550, `${address} is not a recipient of this server`))
      },
    }
  }

  envelope(session: SMTPServerSession): Envelope {
    const { mailFrom, rcptTo } = session.envelope
    const tls = this.#tlsSessions.get(session)
    return {
      from: mailFrom ? mailFrom.address : '',
      to: rcptTo.map(({ address }) => address),
      remoteAddress: session.remoteAddress,
      helo: session.hostNameAppearsAs,
      ...(tls && { tls }),
      ...(session.user && { user: session.user as string }),
    }
  }

  /** @throws an SmtpError */
  async #assertMayStart({ args }: SMTPServerAddress, session: SMTPServerSession): Promise<void> {
    if (this.isClosed) throw shuttingDown()
    if (this.#options.tls?.mode === 'required' && !session.secure)
      throw mailRefused(530, 'TLS is required; send STARTTLS first')
    if (this.#logins && !this.#options.auth?.optional && !session.user)
      throw mailRefused(530, 'a login is required; send AUTH first')
    // Rejects early, before the mail is sent, if there is no room for it now.
    const bytes = args && typeof args.SIZE === 'string' ? Number(args.SIZE) : 0
    const probed = this.#limiter.run(async reserve => reserve(bytes))
    await probed.catch((error: unknown) => {
      throw toSmtpError(this.#redactor, error)
    })
  }

  /** AUTH is not offered without encryption, except over loopback. */
  #disabledCommands({ secure, remoteAddress }: SMTPServerSession): string[] {
    const { tls } = this.#options
    const offersLogin = this.#logins && (secure || isLoopback(remoteAddress))
    return [...alwaysDisabled, ...(tls ? [] : ['STARTTLS']), ...(offersLogin ? [] : ['AUTH'])]
  }
}

/** The first two are for trusted servers in front; the others are jokes of the library. */
const alwaysDisabled = ['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL']

export const shuttingDown = () => closeWith('the server is stopping; retry in a moment')

/** Returns a function that accepts the addresses of the list, or all without a list. @throws E_APP_INVALID */
function recipientRule(list: readonly string[] | undefined): (address: string) => boolean {
  if (!list) return () => true
  const rules = new Set(list.map(rule => rule.toLowerCase()))
  for (const rule of rules)
    if (!/^[^@\s]+@[^@\s]+$/.test(rule))
      throw new TidingsError('E_APP_INVALID', `invalid recipient "${rule}": expected an address or *@domain`)
  return address => {
    const known = address.toLowerCase()
    return rules.has(known) || rules.has(`*@${known.slice(known.lastIndexOf('@') + 1)}`)
  }
}
