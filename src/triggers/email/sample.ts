import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import { randomUUID, X509Certificate } from 'node:crypto'
import { textOf, TidingsError } from '../../errors.ts'
import { localHost } from '../../http/listen.ts'
import { notListening } from '../trigger.ts'
import { listenAddress, type SmtpOptions, smtpUrl } from './options.ts'
import { credentialsOf } from './tls.ts'

const timeoutMs = 10_000

/**
 * Sends a sample mail: with TLS if it is offered, with a login if one is required.
 * @throws E_NOT_FOUND if nothing listens, E_MAIL_REFUSED if the mail is rejected, E_SETTING_INVALID
 */
export async function sendMailSample(options: SmtpOptions): Promise<void> {
  const { host, port } = listenAddress(options)
  const url = smtpUrl(host, port, options.tls)
  const certificate = options.tls && new X509Certificate(credentialsOf(options.tls).cert)
  const isImplicit = options.tls?.mode === 'implicit'
  const client = new SmtpClient(url)
  try {
    await client.open({ host: localHost(host), port }, isImplicit ? certificate : undefined)
    await client.command('EHLO localhost')
    if (certificate && !isImplicit) {
      await client.command('STARTTLS')
      await client.secure(certificate)
      await client.command('EHLO localhost')
    }
    const login = plainLogin(options)
    if (login) await client.command(`AUTH PLAIN ${login}`)
    const recipient = (options.recipients?.[0] ?? 'sample@localhost').replace(/^\*@/, 'sample@')
    await client.command('MAIL FROM:<sample@localhost>')
    await client.command(`RCPT TO:<${recipient}>`)
    await client.command('DATA')
    await client.command(`${sample(recipient)}\r\n.`)
    await client.command('QUIT')
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
    'This is a sample, sent to test whether mail arrives.',
  ].join('\r\n')

function plainLogin({ auth }: SmtpOptions): string | undefined {
  if (!auth || auth.optional) return undefined
  if (typeof auth.users === 'function')
    throw invalid('a sample cannot log in, because a function checks the passwords; send a mail yourself')
  const [user, password] = Object.entries(auth.users)[0] ?? []
  if (!password) throw invalid(`the password of SMTP user "${user}" is not set; set it as for the worker`)
  return Buffer.from(`\0${user}\0${password}`).toString('base64')
}

const invalid = (problem: string) => new TidingsError('E_SETTING_INVALID', problem)

/** `url`: for error texts. */
class SmtpClient {
  readonly #url: string
  readonly #signal = AbortSignal.timeout(timeoutMs)
  #socket!: Socket

  constructor(url: string) {
    this.#url = url
  }

  async open(target: { host: string; port: number }, cert: X509Certificate | undefined): Promise<void> {
    await this.#use(connect(target), 'connect')
    if (cert) await this.secure(cert)
    await this.#reply()
  }

  /** Accepts only this certificate, for any host name: clients may reach the trigger under another name. */
  async secure(cert: X509Certificate): Promise<void> {
    const socket = connectSecurely({ socket: this.#socket, rejectUnauthorized: false })
    await this.#use(socket, 'secureConnect')
    if (socket.getPeerX509Certificate()?.fingerprint256 !== cert.fingerprint256)
      throw new TidingsError('E_NOT_FOUND', `another server answers at ${this.#url}: it has a different certificate`, {
        next: 'Stop that server, or give the trigger another port. If it is a worker with an older certificate, restart it.',
      })
  }

  async command(line: string): Promise<void> {
    this.#socket.write(`${line}\r\n`)
    await this.#reply()
  }

  close(): void {
    this.#socket.destroy()
  }

  async #use(socket: Socket, ready: 'connect' | 'secureConnect'): Promise<void> {
    this.#socket = socket
    // The pending read or write reports the error.
    socket.on('error', () => {})
    await this.#orUnreachable(once(socket, ready, { signal: this.#signal }))
  }

  async #reply(): Promise<void> {
    const socket = this.#socket
    let text = ''
    while (!/^\d{3} .*\r\n$/m.test(text)) {
      const chunk = socket.read() as Buffer | null
      if (chunk) text += chunk.toString()
      else if (socket.readableEnded || socket.destroyed) throw this.#unreachable('the connection was closed')
      else {
        const readable = once(socket, 'readable', { signal: this.#signal })
        await this.#orUnreachable(Promise.race([readable, once(socket, 'close')]))
      }
    }
    if (!/^[23]/.test(text))
      throw new TidingsError('E_MAIL_REFUSED', `${this.#url} rejected the sample: ${text.trim()}`)
  }

  async #orUnreachable(waiting: Promise<unknown>): Promise<void> {
    await waiting.catch((cause: unknown) => {
      throw this.#unreachable(textOf(cause), cause)
    })
  }

  #unreachable(why: string, cause?: unknown): TidingsError {
    return notListening(`${this.#url} does not answer (${why})`, cause)
  }
}
