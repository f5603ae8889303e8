import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { SMTPServerAuthentication, SMTPServerSession } from 'smtp-server'
import type { Redactor } from '../../bus/redact.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { mailRefused } from './replies.ts'

/** Which SMTP clients may log in. */
export interface SmtpAuth {
  /** Passwords by user, such as `{ printer: process.env.PRINTER_PASSWORD }`, or a function that checks a password. */
  users: Readonly<Record<string, string | undefined>> | ((user: string, password: string) => boolean | Promise<boolean>)
  /** Also accepts mail without a login. Default false. */
  optional?: boolean
}

const failureLimits = { perConnection: 3, perNetwork: 10, seconds: 15 * 60 }

/** Checks logins. A network with too many failed logins is rejected for a while, over all its connections. */
export class SmtpLogins {
  readonly #redactor: Redactor
  readonly #isCorrect: (user: string, password: string) => boolean | Promise<boolean>
  readonly #networks = new RateLimiterMemory({ points: failureLimits.perNetwork, duration: failureLimits.seconds })
  readonly #failures = new WeakMap<SMTPServerSession, number>()

  /** @throws E_SETTING_INVALID for a user without a password */
  constructor({ users }: SmtpAuth, redactor: Redactor) {
    this.#redactor = redactor
    this.#isCorrect = typeof users === 'function' ? users : passwordComparer(users)
  }

  /** Returns the user. @throws an SmtpError: 535, 421 after three of them, 454 if passwords cannot be checked now */
  async check(auth: SMTPServerAuthentication, session: SMTPServerSession): Promise<string> {
    const network = networkOf(session.remoteAddress)
    // Counted before the check, so that concurrent attempts count too.
    await this.#networks.consume(network).catch(() => {
      throw mailRefused(454, 'too many failed logins; retry later')
    })
    const { username = '', password, authcid, authzid } = auth
    // Logging in as one user to send as another is not allowed.
    const isForAnother = authcid && authzid && authcid !== authzid
    if (isForAnother || !(await this.#verify(username, password ?? ''))) throw this.#failure(session)
    await this.#networks.reward(network)
    return username
  }

  async #verify(user: string, password: string): Promise<boolean> {
    try {
      return (await this.#isCorrect(user, password)) === true
    } catch (error) {
      warn(this.#redactor, `the function auth.users of the SMTP trigger threw: ${textOf(error)}`)
      throw mailRefused(454, 'logins cannot be checked now; retry later')
    }
  }

  #failure(session: SMTPServerSession): Error {
    const failures = (this.#failures.get(session) ?? 0) + 1
    this.#failures.set(session, failures)
    return mailRefused(failures < failureLimits.perConnection ? 535 : 421, 'wrong user or password')
  }
}

/** Compares in constant time, also for unknown users. */
function passwordComparer(users: Readonly<Record<string, string | undefined>>) {
  const key = randomBytes(32)
  const digest = (text: string) => createHmac('sha256', key).update(text).digest()
  const known = new Map<string, Buffer>()
  for (const [user, password] of Object.entries(users)) {
    if (!password) throw new TidingsError('E_SETTING_INVALID', `the password of SMTP user "${user}" is not set`)
    known.set(user, digest(password))
  }
  if (known.size === 0)
    throw new TidingsError('E_SETTING_INVALID', 'auth of the SMTP trigger has no users; add one or leave auth out')
  const dummy = randomBytes(32)
  return (user: string, password: string) => {
    const right = timingSafeEqual(digest(password), known.get(user) ?? dummy)
    return right && known.has(user)
  }
}

/** An IPv6 client usually has a whole /64 network. */
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
