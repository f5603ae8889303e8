import fc from 'fast-check'
import MailComposer from 'nodemailer/lib/mail-composer'
import PostalMime from 'postal-mime'
import { expect, test } from 'vitest'
import { parseMail } from './mail.ts'
import { parseStructured } from './fields.ts'
import { safeFilename } from './filename.ts'

const lines = (...all: string[]) => all.join('\r\n')
const from = 'From: Ann <ann@example.org>'
const read = (...all: string[]) => parseMail(Buffer.from(lines(...all), 'latin1'))
const multipart = (kind: string, ...parts: string[][]) => [
  `Content-Type: multipart/${kind}; boundary="=b"`,
  '',
  ...parts.flatMap(part => ['--=b', ...part]),
  '--=b--',
]
const text = (what: string) => ['Content-Type: text/plain', '', what]
const html = (what: string) => ['Content-Type: text/html', '', what]

test('HTML is converted if there is no equivalent plain text', () => {
  const both = read(from, ...multipart('alternative', text('plain'), html('<p>rich</p>')))
  expect([both.text, both.html]).toEqual(['plain', '<p>rich</p>'])
  const empty = read(from, ...multipart('alternative', text(' '), html('<p>rich</p>')))
  expect([empty.text, empty.html]).toEqual(['rich', '<p>rich</p>'])
  const mixed = read(from, ...multipart('mixed', html('<p>rich</p>'), text('a footer')))
  expect([mixed.text, mixed.html]).toEqual(['rich\na footer', '<p>rich</p>'])
  expect(read(from, ...multipart('mixed', text('one'), text('two')))).not.toHaveProperty('html')
})

test('a message within a mail is an attachment, and is not parsed', () => {
  const inner = ['Content-Type: message/rfc822', '', 'From: eve@example.org', 'Subject: inner', '', 'Transfer it all']
  for (const part of [inner, ['Content-Disposition: inline', ...inner]]) {
    const mail = read(from, ...multipart('mixed', text('see below'), part))
    expect(mail.text).toBe('see below')
    expect(mail.attachments).toMatchObject([{ contentType: 'message/rfc822', filename: null }])
    expect(Buffer.from(mail.attachments[0]!.content).toString()).toBe(inner.slice(2).join('\r\n'))
  }
  const digest = read(from, ...multipart('digest', ['', 'Subject: one', '', 'x']))
  expect(digest.attachments).toMatchObject([{ contentType: 'message/rfc822' }])
})

test('attachments keep their disposition and their content id in HTML', () => {
  const image = ['Content-Type: image/png', 'Content-ID: <logo@example.org>', 'Content-Disposition: inline', '', 'png']
  const notes = ['Content-Type: text/plain; name=notes.txt', 'Content-Disposition: attachment', '', 'some notes']
  expect(read(from, ...multipart('mixed', html('<img src="cid:logo@example.org">'), image, notes)).attachments).toEqual(
    [
      {
        filename: null,
        contentType: 'image/png',
        disposition: 'inline',
        contentId: 'logo@example.org',
        content: Buffer.from('png'),
      },
      {
        filename: 'notes.txt',
        contentType: 'text/plain',
        disposition: 'attachment',
        content: Buffer.from('some notes'),
      },
    ],
  )
})

test('names of files are read as RFC 2231 and RFC 2047 write them', () => {
  const names: Record<string, string> = {
    'filename="a b.txt"': 'a b.txt',
    'filename=Invoice(1).pdf': 'Invoice(1).pdf',
    "filename*=UTF-8''na%C3%AFve%20%E6%BC%A2.txt": 'naïve 漢.txt',
    'filename*0*=iso-8859-1\'de\'gr%FC; filename*1="sse "; filename*2=1.txt': 'grüsse 1.txt',
    'filename="=?utf-8?B?5ryiLnR4dA==?="': '漢.txt',
    "filename=plain.txt; filename*=utf-8''exact.txt": 'exact.txt',
    "filename*=utf-8''..%2F..%2Fetc%2Fpasswd": 'passwd',
    "filename*=utf-8''a%0D%0AX-Evil%3A%20b": 'aX-Evil_ b',
    'filename="one.txt"; filename="two.txt"': 'one.txt',
    'filename="quo\\"te.txt" (a comment; filename=other)': 'quo_te.txt',
  }
  for (const [parameter, name] of Object.entries(names))
    expect([
      parameter,
      read(from, `Content-Disposition: attachment; ${parameter}`, '', 'x').attachments[0]!.filename,
    ]).toEqual([parameter, name])
})

test('a name that no file can have is dropped', () => {
  const names: Record<string, string | null> = {
    '../../etc/passwd': 'passwd',
    'C:\\Windows\\system32\\calc.exe': 'calc.exe',
    '..': null,
    ' . ': null,
    '': null,
    '.bashrc': 'bashrc',
    'a\u0000b\u0085\n.txt': 'ab.txt',
    'cod\u202egpj.exe': 'codgpj.exe',
    'con.txt': '_con.txt',
    LPT1: '_LPT1',
    ' ..nul .a.b': '_nul .a.b',
    'a<b>:"|?*.txt': 'a_b______.txt',
    'half\ud800': 'half\ufffd',
  }
  for (const [name, safe] of Object.entries(names)) expect([name, safeFilename(name)]).toEqual([name, safe])
  expect(safeFilename(`${'漢'.repeat(200)}.txt`)).toBe(`${'漢'.repeat(65)}.txt`)
})

test('no name leads out of a folder, hides, or is longer than any system takes', () => {
  const unit = fc.oneof(
    fc.constantFrom('..', '/', '\\', '.', ' ', ':', '\u202e', 'CON', '\0'),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 80 }), pieces => {
      const name = safeFilename(pieces.join(''))
      if (name === null) return
      expect(name).toBe(safeFilename(name))
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      expect(name).not.toMatch(/[/\\:<>"|?*\u0000-\u001f\u007f-\u009f]|^[\s.]|[\s.]$/)
    }),
  )
})

test('bodies are decoded in whatever way they come', () => {
  const body = (encoding: string, charset: string, ...content: string[]) =>
    read(from, `Content-Type: text/plain; charset=${charset}`, `Content-Transfer-Encoding: ${encoding}`, '', ...content)
      .text
  expect(body('base64', 'utf-8', '5ryi', '5a2X')).toBe('漢字')
  expect(body('BASE64', 'utf-8', 'Z3LDvA==', 'w59l')).toBe('grüße')
  expect(body('base64', 'utf-8', 'Z3L*DvA', '!!')).toBe('grü')
  expect(body('quoted-printable', 'iso-8859-1', 'gr=FC=DFe=', ' und =', '=3D mehr =zz =')).toBe('grüße und = mehr =zz ')
  expect(body('"quoted-printable" (a comment)', 'utf-8', 'a=20')).toBe('a ')
  expect(body('8bit', 'windows-1252', 'caf\u00e9')).toBe('café')
  expect(body('8bit', 'us-ascii', 'caf\u00e9')).toBe('café')
  expect(body('8bit', 'no-such-set', 'caf\u00e9')).toBe('café')
  expect(body('8bit', 'CP932', '\u8abf'.replace('\u8abf', '\u0092\u00b2'))).toBe('調')
})

test('the second of a field does not count, nor what only looks like one', () => {
  const mail = read(
    from,
    'Subject: one',
    'Subject: two',
    'Content-Type: text/plain',
    'Content-Type: text/html',
    '',
    '<b>x</b>',
  )
  expect([mail.subject, mail.text]).toEqual(['one', '<b>x</b>'])
  expect(() => parseMail(Buffer.from(`\ufeff${from}\r\n\r\nx`))).toThrow('not a header field')
  expect(() => parseMail(Buffer.from(`Subject: x\r\n\u00a0${from}\r\n\r\nx`))).toThrow('not a header field')
  expect(parseStructured('Text/Plain (a; b=c); Charset="x;y" ; flag; charset=z')).toEqual({
    value: 'text/plain',
    params: new Map([
      ['charset', 'x;y'],
      ['flag', ''],
    ]),
  })
})

test('a mail that would cost more than its size suggests is refused by counts', () => {
  const bombs: Record<string, string[]> = {
    'more than 1000 parts': multipart('mixed', ...Array.from({ length: 1_001 }, () => ['', 'x'])),
    'nested deeper than 32': Array.from({ length: 40 }, (_, n) =>
      lines(`Content-Type: multipart/mixed; boundary=b${n}`, '', `--b${n}`),
    ),
    'headers are too large': [
      ...multipart('mixed', ...Array.from({ length: 300 }, () => [`X: ${'x'.repeat(1_000)}`, '', 'x'])),
    ],
    'more than 1000 header fields': Array.from({ length: 1_001 }, () => 'X: y'),
    'more than 1000 recipients': [`To: ${'a@b,'.repeat(1_001)}`],
    'more than 100 attachments': multipart(
      'mixed',
      ...Array.from({ length: 101 }, () => ['Content-Type: x/y', '', 'x']),
    ),
    'too many lines': ['', '\r\n'.repeat(120_000)],
    'names no boundary': ['Content-Type: multipart/mixed', '', 'x'],
    'has no part': ['Content-Type: multipart/mixed; boundary=b', '', '--c', '', 'x', '--c--'],
    'longer than 200': [`Content-Type: multipart/mixed; boundary=${'b'.repeat(201)}`, '', 'x'],
  }
  for (const [why, bomb] of Object.entries(bombs)) expect(() => read(from, ...bomb)).toThrow(why)
})

test('what made parsers run for minutes is read at once', () => {
  // Of 2 MiB each: what took time by the square, or a buffer for each byte, would not be done before the test is over.
  const much = (unit: string) => unit.repeat((2 * 1024 * 1024) / unit.length)
  const base64 = ['Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64', '']
  expect(read(from, ...base64, much('a=')).attachments[0]!.content).toHaveLength(0)
  expect(read(from, ...base64, much('aaaa')).attachments[0]!.content).toHaveLength(1.5 * 1024 * 1024)
  for (const unit of ['<a href="', '<script ', '<!--', '&', '</p'])
    expect(read(from, ...multipart('mixed', html(much(unit)), text('x'))).text).toMatch(/x$/)
  expect(
    read(
      from,
      'Content-Type: message/rfc822',
      '',
      ...Array.from({ length: 9 }, () => 'Content-Type: message/rfc822\r\n'),
      much('x'),
    ).attachments,
  ).toHaveLength(1)
  for (const value of ['(', '"', '=?', ';a=b', '=?utf-8?Q?a?= ', '\\'])
    expect(
      read(from, `Content-Disposition: attachment; filename=${value.repeat(200_000 / value.length)}`, '', 'x')
        .attachments,
    ).toHaveLength(1)
})

test('mails that are well formed read as another parser reads them', async () => {
  const word = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .map(some => some.replaceAll(/[\p{C}\p{Z}]+/gu, '_'))
  const content = fc.oneof(
    fc.array(word, { minLength: 1, maxLength: 30 }).map(all => all.join('\n')),
    fc.constantFrom('.\n..\n--\n-- \n--b\n=\n=3D', 'long '.repeat(400), 'From me\n>From you'),
  )
  const mail = fc.record(
    {
      text: content,
      html: content.map(some => `<p>${some}</p>`),
      subject: word,
      attachments: fc.array(
        fc.record({
          filename: word.filter(name => safeFilename(name) === name),
          content: fc.uint8Array({ maxLength: 500 }).map(some => Buffer.from(some)),
          contentType: fc.constant('application/octet-stream'),
        }),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: ['text', 'subject'] },
  )
  await fc.assert(
    fc.asyncProperty(mail, fc.constantFrom('base64', 'quoted-printable'), async (parts, textEncoding) => {
      const composed = new MailComposer({
        from: 'ann@example.org',
        to: 'Bob <bob@example.org>',
        ...parts,
        textEncoding,
      })
      const bytes = Buffer.from(
        (await composed.compile().build()).toString('latin1').replaceAll(/\r?\n/g, '\r\n'),
        'latin1',
      )
      const [ours, theirs] = [parseMail(bytes), await PostalMime.parse(bytes)]
      expect(ours).toMatchObject({
        messageId: theirs.messageId!,
        to: theirs.to,
        subject: theirs.subject!.trim(),
        date: theirs.date,
        headers: theirs.headers.map(({ key, value }) => ({ name: key, value })),
      })
      expect([ours.text.trim(), ours.html?.trim()]).toEqual([theirs.text!.trim(), theirs.html?.trim()])
      expect(ours.attachments.map(({ filename, content: bytesOf }) => [filename, Buffer.from(bytesOf)])).toEqual(
        theirs.attachments.map(({ filename, content: bytesOf }) => [filename, Buffer.from(bytesOf as ArrayBuffer)]),
      )
    }),
    { numRuns: 60 },
  )
})

test('any bytes are read or refused, and nothing else', () => {
  const token = fc.constantFrom(
    'Content-Type: multipart/mixed; boundary=b', 'Content-Type: multipart/alternative; boundary="c d"', 'Content-Type: text/html',
    'Content-Transfer-Encoding: base64', 'Content-Transfer-Encoding: quoted-printable', 'Content-Disposition: attachment; filename*0*=',
    '--b', '--b--', '--c d', '--c d--', '', ' folded', 'Authentication-Results: x;', 'a=', '=41', '(', '"',
  ) // biome-ignore format: one list
  const noise = fc.uint8Array({ maxLength: 40 }).map(some => Buffer.from(some).toString('latin1'))
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 4, arbitrary: token }, noise), { maxLength: 40 }), some => {
      try {
        const mail = read(from, ...some)
        expect(mail.from.address).toBe('ann@example.org')
        expect(mail.text.length).toBeLessThanOrEqual(some.join('\r\n').length + some.length)
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_MAIL_REFUSED' })
      }
    }),
    { numRuns: 1_000 },
  )
})
