import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fuzzed, timeout } from '../../../test/lib/fuzz.ts'
import { selfSigned } from '../../testing/certificate.ts'
import { smtp } from './smtp.ts'

/* Whatever comes: every command is answered with a refusal of SMTP, or the connection is closed. */

const maxBytes = 50_000
// Inputs of a connection, which is greeted only after 100 ms.
const batch = 10

const { dial, each } = fuzzed(bus => {
  const auth = { users: { ann: 'secret' }, optional: true }
  return smtp({ port: 0, maxBytes, tls: selfSigned(), auth }).start(bus)
})

/** Sends each step once the one before is answered; returns the last lines of the replies, the greeting first. */
async function session(steps: readonly (string | Buffer)[]): Promise<string[]> {
  const socket = dial()
  const replies: string[] = []
  const left = [...steps]
  let rest = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString()).split('\r\n')
    rest = lines.pop()!
    for (const line of lines) {
      if (line[3] === '-') continue
      replies.push(line)
      const next = left.shift()
      if (next === undefined) socket.end()
      else socket.write(next)
    }
  }
  return replies
}

const transaction = ['MAIL FROM:<ann@example.org>\r\n', 'RCPT TO:<desk@example.net>\r\n', 'DATA\r\n']
const ended = (mail: Buffer) =>
  Buffer.concat([Buffer.from(mail.toString('latin1').replaceAll(/^\./gm, '..'), 'latin1'), Buffer.from('\r\n.\r\n')])

/** Sessions, each with a few inputs. */
function several<T>(inputs: fc.Arbitrary<T>, share: number, check: (some: readonly T[]) => Promise<void>) {
  return each(fc.array(inputs, { minLength: batch, maxLength: batch }), share / batch, check)
}

const bytes = (max: number) => fc.uint8Array({ minLength: 1, maxLength: max }).map(some => Buffer.from(some))
const latin = (text: string) => Buffer.from(text, 'latin1')
const valid = 'From: ann@example.org\r\nSubject: hello\r\n\r\nbody\r\n'

const noHeader = bytes(300).map(some => Buffer.concat([latin('\u0080'), some]))
const noFrom = fc
  .array(fc.constantFrom('Subject: x', 'To: desk@example.net', 'X-From: ann@example.org', 'Date: today'))
  .map(lines => latin(['A: b', ...lines, '', 'body'].join('\r\n')))
const badFrom = fc
  .string({ unit: 'grapheme-ascii' })
  .filter(from => !/[@\r\n]/.test(from))
  .map(from => latin(`From: ${from}\r\n\r\nbody`))
const manyFroms = fc.integer({ min: 1, max: 5 }).map(more => latin('From: eve@example.org\r\n'.repeat(more) + valid))
const inserted = fc
  .tuple(fc.nat(valid.length - 1), fc.constantFrom('\0', '\n', '\r', '\n.\nQUIT', '\r.\r', 'x\n.\r'))
  .filter(([at]) => valid[at - 1] !== '\r' && valid[at] !== '\n')
  .map(([at, what]) => latin(`${valid.slice(0, at)}${what}x${valid.slice(at)}`))
const junkLine = fc
  .string({ unit: 'grapheme-ascii', minLength: 1 })
  .filter(line => !line.includes(':') && /^[^ \t]/.test(line))
  .map(line => latin(`${line}\r\n${valid}`))
const tooLarge = fc.integer({ min: maxBytes, max: 3 * maxBytes }).map(size => latin(valid + 'x'.repeat(size)))
const tooDeep = fc.integer({ min: 33, max: 200 }).map(depth => {
  const open = Array.from(
    { length: depth },
    (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`,
  )
  return latin(`From: ann@example.org\r\n${open.join('')}\r\nx`)
})

/** More of something than anybody sends. */
const tooMany = fc
  .tuple(
    fc.constantFrom<[number, (n: number) => string]>(
      [1_001, n => `X: y\r\n`.repeat(n)],
      [1_001, n => `To: ${'a@b,'.repeat(n)}\r\n`],
      [1_001, n => `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(n)}`],
      [
        101,
        n => `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\nContent-Type: x/y\r\n\r\nx\r\n'.repeat(n)}`,
      ],
      [201, n => `Content-Type: multipart/mixed; boundary=${'b'.repeat(n)}\r\n\r\nx`],
    ),
    fc.nat(300),
  )
  .map(([[least, bomb], more]) => latin(`From: ann@example.org\r\n${bomb(least + more)}\r\n\r\nx`))
const noParts = fc
  .array(fc.constantFrom('--c', '--bb', '-- b', '--', 'b', 'x'))
  .map(lines => latin(`From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${lines.join('\r\n')}`))

test('mails that are none', { timeout }, async () => {
  const mails = fc.oneof(noHeader, noFrom, badFrom, manyFroms, inserted, junkLine, tooLarge, tooDeep, tooMany, noParts)
  await several(mails, 0.5, async list => {
    const replies = await session(['EHLO test\r\n', ...list.flatMap(mail => [...transaction, ended(mail)])])
    expect(replies).toHaveLength(2 + list.length * 4)
    const answers = replies.slice(2).filter((_, i) => i % 4 === 3)
    for (const answer of answers) expect(answer).toMatch(/^55[24] 5\.\d\.\d E_MAIL_REFUSED /)
  })
})

test('commands that are none, or come at the wrong time', { timeout }, async () => {
  const word = fc.string({ unit: 'grapheme-ascii', maxLength: 60 })
  const commands = fc.oneof(
    word.map(line => `X${line}`),
    bytes(100).map(some => `\u0080${some.toString('latin1').replaceAll(/[\r\n]/g, ' ')}`),
    fc.constantFrom(
      'DATA',
      'RCPT TO:<desk@example.net>',
      'MAIL',
      'RCPT',
      'EHLO',
      'HELO a b',
      'AUTH PLAIN AAAA',
      'AUTH LOGIN =',
      'AUTH CRAM-MD5',
      'STARTTLS now',
      'XCLIENT ADDR=10.0.0.1',
      'VRFY',
      'BDAT 5',
      '',
      ' ',
    ),
    word.filter(text => !/[<>@]/.test(text)).map(text => `MAIL FROM:${text}`),
    word.filter(text => !text.includes('@')).map(text => `MAIL FROM:<x${text}>`),
    fc.integer({ min: 17_000, max: 40_000 }).map(size => `EHLO ${'x'.repeat(size)}`),
    fc.integer({ min: maxBytes + 1, max: 1e12 }).map(size => `MAIL FROM:<ann@example.org> SIZE=${size}`),
    fc.constantFrom('GET / HTTP/1.1', 'POST /events HTTP/1.1'),
  )
  await several(commands, 0.3, async list => {
    const [greeting, hello, ...answers] = await session(['EHLO test\r\n', ...list.map(line => latin(`${line}\r\n`))])
    expect([greeting, hello]).toEqual([expect.stringMatching(/^220 /), expect.stringMatching(/^250 /)])
    for (const answer of answers) expect(answer).toMatch(/^[45]\d\d /)
    // A client that is refused again and again is sent away.
    if (answers.length < list.length) expect(answers.at(-1)).toMatch(/^421 /)
  })
})

test('sessions that break off, and clients that talk before they are greeted', { timeout }, async () => {
  const whole = ['EHLO test\r\n', ...transaction, valid].join('')
  const pieces = fc.oneof(
    fc.nat(whole.length).map(end => latin(whole.slice(0, end))),
    bytes(200),
    bytes(200).map(some => Buffer.concat([latin('EHLO test\r\nSTARTTLS\r\n'), some])),
    bytes(200).map(some => latin(`EHLO test\r\nAUTH PLAIN ${some.toString('base64')}\r\n`)),
  )
  await several(pieces, 0.2, async list => {
    for (const piece of list) {
      const socket = dial()
      socket.on('error', () => {})
      socket.write(piece)
      socket.destroySoon()
      await new Promise(resolve => socket.once('close', resolve))
    }
    // It is there as before.
    expect((await session(['QUIT\r\n']))[1]).toMatch(/^221 /)
  })
})
