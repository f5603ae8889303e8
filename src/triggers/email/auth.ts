import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { SMTPServerAuthentication, SMTPServerSession } from 'smtp-server'
import type { Redactor } from '../../bus/redact.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { mailRefused } from './replies.ts'

export interface SmtpAuth {
  /** Passwords by user, such as `{ printer: process.env.PRINTER_PASSWORD }`; or what tells whether a password is right. */
  users: Readonly<Record<string, string | undefined>> | ((user: string, password: string) => boolean | Promise<boolean>)
  /** Takes mail also from who is not logged in. Default false. */
  optional?: boolean
}

const maxFailures = { perConnection: 3, perNetwork: 10, seconds: 15 * 60 }

/** Who may log in. Whoever fails again and again, from whatever connection, is told to come later. */
export class SmtpLogins {
  readonly #redactor: Redactor
  readonly #isRight: (user: string, password: string) => boolean | Promise<boolean>
  readonly #networks = new RateLimiterMemory({ points: maxFailures.perNetwork, duration: maxFailures.seconds })
  readonly #failures = new WeakMap<SMTPServerSession, number>()

  /** @throws E_SETTING_INVALID for a user without a password */
  constructor({ users }: SmtpAuth, redactor: Redactor) {
    this.#redactor = redactor
    this.#isRight = typeof users === 'function' ? users : comparing(users)
  }

  /** The user. @throws a refusal: 535, 421 after three of them, 454 when passwords cannot be checked now */
  async check(auth: SMTPServerAuthentication, session: SMTPServerSession): Promise<string> {
    const network = networkOf(session.remoteAddress)
    // Counted before it is looked at: tries at the same time count too.
    await this.#networks.consume(network).catch(() => {
      throw mailRefused(454, 'too many logins failed; come again later')
    })
    const { username = '', password } = auth
    if (this.#isForAnother(auth) || !(await this.#verify(username, password ?? ''))) throw this.#failure(session)
    await this.#networks.reward(network)
    return username
  }

  /** Nobody may log in as one user to send as another. */
  #isForAnother({ authcid, authzid }: SMTPServerAuthentication): boolean {
    return Boolean(authcid && authzid) && authcid !== authzid
  }

  async #verify(user: string, password: string): Promise<boolean> {
    try {
      return (await this.#isRight(user, password)) === true
    } catch (error) {
      warn(this.#redactor, `the password of an SMTP client could not be checked: ${textOf(error)}`)
      throw mailRefused(454, 'logins cannot be checked now; come again later')
    }
  }

  #failure(session: SMTPServerSession): Error {
    const failures = (this.#failures.get(session) ?? 0) + 1
    this.#failures.set(session, failures)
    return mailRefused(failures < maxFailures.perConnection ? 535 : 421, 'user or password is wrong')
  }
}

/** In the same time for users that there are and that there are not, whatever the password shares with the right one. */
function comparing(users: Readonly<Record<string, string | undefined>>) {
  const key = randomBytes(32)
  const digest = (text: string) => createHmac('sha256', key).update(text).digest()
  const known = new Map<string, Buffer>()
  for (const [user, password] of Object.entries(users)) {
    if (!password) throw new TidingsError('E_SETTING_INVALID', `the password of SMTP user ${user} is not set`)
    known.set(user, digest(password))
  }
  if (known.size === 0) throw new TidingsError('E_SETTING_INVALID', 'auth of the SMTP trigger names no user')
  const nobody = randomBytes(32)
  return (user: string, password: string) => {
    const right = timingSafeEqual(digest(password), known.get(user) ?? nobody)
    return right && known.has(user)
  }
}

/** Who has one address of IPv6 has the 2^64 beside it. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').length
  return [...groups, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...(tail ?? '').split(':')]
    .slice(0, 4)
    .map(group => Number.parseInt(group || '0', 16).toString(16))
    .join(':')
}
