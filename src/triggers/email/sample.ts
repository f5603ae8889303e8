import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectSecurely, type TLSSocket } from 'node:tls'
import { randomUUID, X509Certificate } from 'node:crypto'
import { textOf, TidingsError } from '../../errors.ts'
import { listenAddress, type SmtpOptions, smtpUrl } from './options.ts'
import { credentialsOf } from './tls.ts'

const patienceMs = 10_000

/**
 * Sends a sample as a client would: encrypted where that can be, logged in where that must be.
 * @throws E_NOT_FOUND where nobody listens, E_MAIL_REFUSED with the answer where it is refused, E_SETTING_INVALID
 */
export async function sendMailSample(options: SmtpOptions): Promise<void> {
  const { host, port } = listenAddress(options)
  const url = smtpUrl(host, port, options.tls)
  const reached = { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port }
  const client = new Client(url, AbortSignal.timeout(patienceMs))
  try {
    await client.open(reached, options.tls?.mode === 'implicit' ? certOf(options) : undefined)
    await client.say('EHLO localhost')
    if (options.tls && options.tls.mode !== 'implicit') {
      await client.say('STARTTLS')
      await client.secure(certOf(options)!)
      await client.say('EHLO localhost')
    }
    const login = loginOf(options)
    if (login) await client.say(`AUTH PLAIN ${login}`)
    const recipient = (options.recipients?.[0] ?? 'sample@localhost').replace(/^\*@/, 'sample@')
    await client.say('MAIL FROM:<sample@localhost>')
    await client.say(`RCPT TO:<${recipient}>`)
    await client.say('DATA')
    await client.say(`${sample(recipient)}\r\n.`)
    await client.say('QUIT')
  } finally {
    client.close()
  }
}

const sample = (recipient: string) =>
  [
    'From: Sample <sample@localhost>',
    `To: ${recipient}`,
    'Subject: A sample',
    `Date: ${new Date().toUTCString()}`,
    `Message-ID: <${randomUUID()}@localhost>`,
    '',
    'This is a sample: somebody wants to see whether mail arrives.',
  ].join('\r\n')

const certOf = ({ tls }: SmtpOptions) => tls && new X509Certificate(credentialsOf(tls).cert)

function loginOf({ auth }: SmtpOptions): string | undefined {
  if (!auth || auth.optional) return undefined
  if (typeof auth.users === 'function')
    throw new TidingsError('E_SETTING_INVALID', 'a sample cannot log in where a function checks the passwords')
  const [user, password] = Object.entries(auth.users)[0] ?? []
  if (!password) throw new TidingsError('E_SETTING_INVALID', `the password of SMTP user ${user} is not set here`)
  return Buffer.from(`\0${user}\0${password}`).toString('base64')
}

/** One that says a line and hears the reply. */
class Client {
  readonly #url: string
  readonly #signal: AbortSignal
  #socket: Socket | undefined

  constructor(url: string, signal: AbortSignal) {
    this.#url = url
    this.#signal = signal
  }

  async open(place: { host: string; port: number }, cert: X509Certificate | undefined): Promise<void> {
    const socket = connect(place)
    this.#attach(socket)
    await this.#during(once(socket, 'connect', { signal: this.#signal }))
    if (cert) await this.secure(cert)
    await this.#reply()
  }

  /** The peer must have this certificate, whatever name it is for: the door is reached by another than its clients use. */
  async secure(cert: X509Certificate): Promise<void> {
    const socket: TLSSocket = connectSecurely({ socket: this.#socket!, rejectUnauthorized: false })
    this.#attach(socket)
    await this.#during(once(socket, 'secureConnect', { signal: this.#signal }))
    if (socket.getPeerX509Certificate()?.fingerprint256 !== cert.fingerprint256)
      throw new TidingsError('E_NOT_FOUND', `somebody else answers at ${this.#url}: the certificate is another`)
  }

  async say(line: string): Promise<void> {
    this.#socket!.write(`${line}\r\n`)
    await this.#reply()
  }

  close(): void {
    this.#socket?.destroy()
  }

  #attach(socket: Socket): void {
    this.#socket = socket
    // Whoever waits hears of it.
    socket.on('error', () => {})
  }

  async #reply(): Promise<void> {
    const socket = this.#socket!
    let text = ''
    while (!/^\d{3} .*\r\n$/m.test(text)) {
      const chunk = socket.read() as Buffer | null
      if (chunk) text += chunk.toString()
      else if (socket.readableEnded || socket.destroyed) throw this.#silent('it hung up')
      else await this.#during(Promise.race([once(socket, 'readable', { signal: this.#signal }), once(socket, 'close')]))
    }
    if (!/^[23]/.test(text)) throw new TidingsError('E_MAIL_REFUSED', `${this.#url} answered ${text.trim()}`)
  }

  async #during(waiting: Promise<unknown>): Promise<void> {
    await waiting.catch((cause: unknown) => {
      throw this.#silent(textOf(cause), cause)
    })
  }

  #silent(why: string, cause?: unknown): TidingsError {
    return new TidingsError('E_NOT_FOUND', `${this.#url} does not answer (${why}); does the worker run?`, { cause })
  }
}
