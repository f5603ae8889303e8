import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectSecurely } from 'node:tls'
import { once } from 'node:events'
import { expect, onTestFinished } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { CommitFailures } from '../../src/testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../src/testing/sqlite/open-faulty.ts'
import type { EmailReceived } from '../../src/received.ts'
import { collect } from '../../src/testing/wait.ts'
import { smtp, type SmtpOptions } from '../../src/triggers/email/smtp.ts'

/** An SMTP trigger on a log of its own, and clients for it. All of it is gone after the test. */
export async function openMailbox(options: SmtpOptions = {}) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-smtp-'))
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home }, { commits }))
  onTestFinished(async () => {
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  const running = await smtp({ port: 0, ...options }).start(bus)
  onTestFinished(() => running.stop())
  const port = Number(new URL(running.address).port)
  return { home, bus, running, port, commits, stored: () => mailsOn(bus), talk: () => Session.open(port) }
}

/** The mails on a log, each with its data. */
export async function mailsOn(bus: Bus) {
  const found = await collect(bus.read({ filter: [{ types: ['email.received'] }] }))
  return Promise.all(
    found.map(async ({ event }) => ({ ...event, data: (await bus.resolve(event)).data as EmailReceived })),
  )
}

export const header =
  'From: Ann <ann@example.org>\r\nTo: desk@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n'

/** A client that says what it is told to say, and hears the replies. */
export class Session {
  #socket: Socket
  #lines: AsyncIterator<string>

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#lines = linesOf(socket)
  }

  /** Without the greeting. */
  static connect(port: number, host = '127.0.0.1'): Session {
    // What is written in pieces leaves in pieces, and none waits until the server has acknowledged the last one.
    const socket = connect({ port, host, noDelay: true })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    return new Session(socket)
  }

  static async open(port: number, host?: string): Promise<Session> {
    const session = Session.connect(port, host)
    expect(await session.reply()).toMatch(/^220 /)
    return session
  }

  async reply(): Promise<string> {
    for (;;) {
      const line = await this.#line()
      // All but the last line of a reply have a dash behind the code.
      if (line[3] !== '-') return line
    }
  }

  /** The lines of a reply, without their codes. */
  async offers(): Promise<string[]> {
    const lines = [await this.#line()]
    while (lines.at(-1)![3] === '-') lines.push(await this.#line())
    return lines.map(line => line.slice(4))
  }

  async #line(): Promise<string> {
    return ((await this.#lines.next()).value as string | undefined) ?? 'closed'
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes)
  }

  say(line: string): Promise<string> {
    this.write(`${line}\r\n`)
    return this.reply()
  }

  /** Up to 354. */
  async begin(to = 'desk@example.net', from = 'ann@example.org'): Promise<void> {
    await this.say('EHLO test')
    await this.say(`MAIL FROM:<${from}>`)
    await this.say(`RCPT TO:<${to}>`)
    expect(await this.say('DATA')).toMatch(/^354 /)
  }

  /** A whole mail; the reply after its end. */
  async deliver(mail: string, to?: string): Promise<string> {
    await this.begin(to)
    return this.say(`${mail}\r\n.`)
  }

  /** After the reply to STARTTLS. */
  async secure(): Promise<void> {
    this.#socket.removeAllListeners('data')
    const socket = connectSecurely({ socket: this.#socket, rejectUnauthorized: false })
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    this.#socket = socket
    this.#lines = linesOf(socket)
  }

  leave(): void {
    this.#socket.destroy()
  }
}

/** By listeners that can be taken away: bytes after a reply belong to the handshake. */
async function* linesOf(socket: Socket): AsyncGenerator<string> {
  const lines: string[] = []
  let rest = ''
  let wake = () => {}
  let over = false
  socket.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\r\n')
    rest = parts.pop()!
    lines.push(...parts)
    wake()
  })
  let problem: Error | undefined
  socket.on('error', error => void (problem = error))
  socket.on('close', () => {
    over = true
    wake()
  })
  for (;;) {
    const line = lines.shift()
    if (line !== undefined) yield line
    else if (problem) throw problem
    else if (over) return
    else await new Promise<void>(resolve => void (wake = resolve))
  }
}
