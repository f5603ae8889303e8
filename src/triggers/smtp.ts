import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server'
import type { Bus } from '../bus/bus.ts'
import { endedOrCut } from '../bus/cut.ts'
import { type ErrorCode, TidingsError } from '../errors.ts'
import { parseMail } from './mail.ts'
import { publishMail } from './received.ts'
import { recipientRule } from './recipients.ts'
import type { RunningTrigger, Trigger } from './trigger.ts'

export interface SmtpOptions {
  /** 0 takes any free port. Default `TIDINGS_SMTP_PORT`, else 2525. */
  port?: number
  /** Address to listen on. Default 127.0.0.1; anything else takes mail from the network, without credentials. */
  host?: string
  /** Who may be written to: addresses, and `*@domain` for all of a domain. Default everybody. */
  recipients?: readonly string[]
  /** Largest mail, in bytes. Default 10 MiB. */
  maxBytes?: number
  /** Most connections at once. Default 32. */
  maxConnections?: number
}

const graceMs = 5_000
const maxRecipients = 100

/**
 * Takes mail by SMTP: each one is an `email.received` on the log before it is answered with 250. The same mail again
 * is inert. `docs/wire-format.md` has the shape of its data.
 */
export function smtp(options: SmtpOptions = {}): Trigger {
  return { kind: 'trigger', name: 'smtp', types: ['email.received'], start: bus => start(bus, options) }
}

async function start(bus: Bus, options: SmtpOptions): Promise<RunningTrigger> {
  const { port = defaultPort(), host = '127.0.0.1', maxBytes = 10 * 1024 * 1024, maxConnections = 32 } = options
  const underWay = new Set<Promise<void>>()
  const allowed = recipientRule(options.recipients)
  const settings: SMTPServerOptions & { maxRecipients: number } = {
    name: 'tidings',
    size: maxBytes,
    maxClients: maxConnections,
    maxRecipients,
    authOptional: true,
    // Without a certificate of its own STARTTLS would promise what it cannot keep; the last three are jokes.
    disabledCommands: ['AUTH', 'STARTTLS', 'WIZ', 'SHELL', 'KILL'],
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    logger: false,
    // What is under way has ended when the server is closed; whoever is idle hears 421 at once.
    closeTimeout: 1,
    onRcptTo: ({ address }, _session, answer) => answer(allowed(address) ? null : refusal(550, notHere(address))),
    onData: (stream, session, answer) => {
      const received = receive(bus, stream, session, maxBytes).then(
        id => answer(null, `stored as ${id}`),
        (error: unknown) => answer(refusalFor(error)),
      )
      underWay.add(received)
      void received.finally(() => underWay.delete(received))
    },
  }
  const server = new SMTPServer(settings)
  await listen(server, port, host)
  return {
    address: `smtp://${host.includes(':') ? `[${host}]` : host}:${(server.server.address() as AddressInfo).port}`,
    stop: async cut => {
      server.server.close()
      const grace = setTimeout(graceMs, undefined, { ref: false })
      await endedOrCut(Promise.race([Promise.all(underWay), grace]), cut)
      await new Promise<void>(resolve => server.close(resolve))
    },
  }
}

async function receive(
  bus: Bus,
  stream: SMTPServerDataStream,
  { envelope }: SMTPServerSession,
  maxBytes: number,
): Promise<string> {
  const at = Date.now()
  const bytes = await readAll(stream, maxBytes)
  if (stream.sizeExceeded)
    throw refusal(552, new TidingsError('E_MAIL_REFUSED', `the mail is larger than ${maxBytes} bytes`))
  const mail = await parseMail(bytes)
  const from = envelope.mailFrom ? envelope.mailFrom.address : ''
  return publishMail(bus, mail, { from, to: envelope.rcptTo.map(({ address }) => address) }, at)
}

/** To its end in any case, since the answer comes after the mail; what is beyond the limit is not kept. */
async function readAll(stream: SMTPServerDataStream, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) if (stream.byteLength <= maxBytes) chunks.push(chunk)
  } catch (cause) {
    throw new TidingsError('E_MAIL_REFUSED', 'the connection broke off in the middle of the mail', { cause })
  }
  return Buffer.concat(chunks)
}

async function listen(server: SMTPServer, port: number, host: string): Promise<void> {
  // Later ones are of single connections, such as one that was reset in the middle of a mail.
  server.on('error', () => {})
  try {
    server.listen(port, host)
    await once(server.server, 'listening')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    const text = `port ${port} of the SMTP trigger is taken; stop the other process or set TIDINGS_SMTP_PORT`
    throw new TidingsError('E_PORT_IN_USE', text, { cause })
  }
}

function defaultPort(): number {
  const { TIDINGS_SMTP_PORT: text = '2525' } = process.env
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new TidingsError('E_USAGE', `TIDINGS_SMTP_PORT=${text} is not a port`)
  return port
}

const notHere = (address: string) => new TidingsError('E_MAIL_REFUSED', `${address} does not take mail here`)

const replies: Partial<Record<ErrorCode, number>> = {
  E_MAIL_REFUSED: 554,
  E_EVENT_TOO_LARGE: 552,
  E_EVENT_INVALID: 554,
}

interface Refusal extends Error {
  responseCode: number
}

/** 451 for whatever is not the fault of the mail: the sender comes again. */
function refusalFor(error: unknown): Refusal {
  if (error instanceof Error && 'responseCode' in error) return error as Refusal
  if (error instanceof TidingsError) return refusal(replies[error.code] ?? 451, error)
  process.emitWarning(error instanceof Error ? error : new Error(String(error)))
  return refusal(451, new TidingsError('E_LOG_UNAVAILABLE', 'the mail could not be taken now'))
}

const refusal = (responseCode: number, { code, message }: TidingsError): Refusal =>
  Object.assign(new Error(`${code} ${message}`), { responseCode })
