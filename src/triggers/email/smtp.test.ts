import { createTransport, type SendMailOptions } from 'nodemailer'
import { expect, onTestFinished, test } from 'vitest'
import { header, openMailbox, Session } from '../../../test/lib/mailbox.ts'
import { smtp, type SmtpOptions } from './smtp.ts'

async function openTrigger(options: SmtpOptions = {}) {
  const mailbox = await openMailbox(options)
  const transport = createTransport({ host: '127.0.0.1', port: mailbox.port, ignoreTLS: true })
  onTestFinished(() => transport.close())
  const send = (mail: SendMailOptions) =>
    transport.sendMail({ from: 'Ann <ann@example.org>', to: 'desk@example.net', ...mail })
  return { ...mailbox, send }
}

test('a mail is on the log when it is answered with 250', async () => {
  const { send, stored, bus } = await openTrigger()
  const date = new Date('2026-11-22T10:00:00Z')
  const { response } = await send({
    subject: '  How does it work?  ',
    text: 'Dear desk,\nplease tell.',
    html: '<p>Dear desk</p>',
    cc: 'Bob <bob@example.com>',
    date,
    messageId: '<42@example.org>',
    attachments: [{ filename: 'notes.txt', content: 'some notes', contentType: 'text/plain' }],
  })
  expect(response).toMatch(/^250 /)
  const [event, ...others] = await stored()
  expect(others).toEqual([])
  expect(event).toMatchObject({
    type: 'email.received',
    source: '/triggers/smtp',
    subject: 'How does it work?',
    tenant: 'default',
    data: {
      messageId: '<42@example.org>',
      from: { name: 'Ann', address: 'ann@example.org' },
      to: [{ name: '', address: 'desk@example.net' }],
      cc: [{ name: 'Bob', address: 'bob@example.com' }],
      subject: 'How does it work?',
      text: expect.stringContaining('please tell.'),
      html: expect.stringContaining('<p>Dear desk</p>'),
      date: date.toISOString(),
      headers: expect.arrayContaining([{ name: 'message-id', value: '<42@example.org>' }]),
      attachments: [{ filename: 'notes.txt', contentType: 'text/plain', disposition: 'attachment', bytes: 10 }],
      authentication: [],
    },
  })
  expect(event!.data.envelope).toEqual({
    from: 'ann@example.org',
    to: ['desk@example.net', 'bob@example.com'],
    remoteAddress: '127.0.0.1',
    helo: expect.stringMatching(/./),
  })
  const { blob } = event!.data.attachments[0]!
  expect(Buffer.from((await bus.driver.blobs!.get('default', blob))!).toString()).toBe('some notes')
})

test('the same mail again is answered with 250 and stored once, whatever way it came', async () => {
  const { talk, stored } = await openTrigger()
  const session = await talk()
  expect(await session.deliver(`${header}\r\nbody`)).toMatch(/^250 /)
  expect(await session.deliver(`Received: from elsewhere\r\n${header}\r\nbody`)).toMatch(/^250 /)
  expect(await stored()).toHaveLength(1)
})

test('another body under the same Message-ID is another event', async () => {
  const { talk, stored } = await openTrigger()
  const session = await talk()
  await session.deliver(`${header}\r\nbody`)
  await session.deliver(`${header}\r\nanother body`)
  expect((await stored()).map(({ data }) => data.text.trim())).toEqual(['body', 'another body'])
})

test('without a Message-ID the whole mail identifies it', async () => {
  const { talk, stored } = await openTrigger()
  const session = await talk()
  const mail = (subject: string) => `From: ann@example.org\r\nSubject: ${subject}\r\n\r\nbody`
  for (const subject of ['one', 'one', 'two']) expect(await session.deliver(mail(subject))).toMatch(/^250 /)
  expect((await stored()).map(({ subject }) => subject)).toEqual(['one', 'two'])
})

test('a mail without text of its own gets that of its HTML', async () => {
  const { send, stored } = await openTrigger()
  await send({
    html: '<style>p { color: red }</style><p>Caf&eacute; &amp; <b>bar</b></p><p>two&#33;</p><script>x<y</script>',
  })
  expect((await stored())[0]!.data.text).toBe('Café & bar\n\ntwo!')
})

test('dots at the beginning of lines, long texts and other alphabets arrive as they were sent', async () => {
  const { send, stored } = await openTrigger()
  const text = `.\n..\n.begin\n漢字 ünïcödé\n${'long '.repeat(5_000)}\n.`
  await send({ subject: 'Grüße 漢字', text })
  const [event] = await stored()
  expect(event!.data.text.trim()).toBe(text)
  expect(event!.subject).toBe('Grüße 漢字')
})

test('the size limit is announced and enforced, whether the size is declared or not', async () => {
  const { talk, stored } = await openTrigger({ maxBytes: 10_000 })
  const session = await talk()
  expect(await session.say('EHLO test')).toMatch(/^250 SIZE 10000$/)
  expect(await session.say('MAIL FROM:<ann@example.org> SIZE=10001')).toMatch(/^552 /)
  expect(await session.deliver(`${header}\r\n${'x'.repeat(20_000)}`)).toMatch(/^552 .*E_MAIL_REFUSED/)
  expect(await stored()).toEqual([])
  expect(await session.deliver(`${header}\r\n${'x'.repeat(9_000)}`)).toMatch(/^250 /)
})

test('only those on the list are written to', async () => {
  const { talk, stored } = await openTrigger({ recipients: ['desk@example.net', '*@Lists.example'] })
  const session = await talk()
  await session.say('EHLO test')
  await session.say('MAIL FROM:<ann@example.org>')
  for (const address of ['other@example.net', 'desk@example.org', 'a@b.lists.example', '"*"@example.net'])
    expect([address, await session.say(`RCPT TO:<${address}>`)]).toEqual([
      address,
      expect.stringMatching(/^550 .*E_MAIL_REFUSED/),
    ])
  expect(await session.say('DATA')).toMatch(/^503 /)
  for (const address of ['Desk@Example.net', 'anybody@lists.example'])
    expect(await session.say(`RCPT TO:<${address}>`)).toMatch(/^250 /)
  expect(await stored()).toEqual([])
})

test('malformed mail is refused with 554 and a reason', async () => {
  const { talk, stored } = await openTrigger()
  const session = await talk()
  const mails = {
    'is not a header field': 'just some text',
    'must have exactly one From': 'Subject: x\r\n\r\nbody',
    'exactly one From': `From: eve@example.org\r\n${header}\r\nbody`,
    'has no address': 'From: nobody\r\n\r\nbody',
    NUL: `${header}\r\nbo\0dy`,
    'bare line feed': `${header}\r\nbody\n.\nMAIL FROM:<eve@example.org>`,
    'bare carriage return': `${header}\r\nbody\r.\r`,
    attachments: `${header}Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\nContent-Type: x/y\r\n\r\n1\r\n'.repeat(101)}--b--`,
    malformed: `${header}${nested(40)}`,
  }
  for (const [reason, mail] of Object.entries(mails)) {
    const reply = await session.deliver(mail)
    expect([reason, reply]).toEqual([reason, expect.stringMatching(/^554 .*E_MAIL_REFUSED/)])
    expect(reply).toContain(reason)
  }
  expect(await stored()).toEqual([])
})

/** Parts within parts. */
function nested(depth: number): string {
  const open = Array.from(
    { length: depth },
    (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`,
  )
  return `${open.join('')}\r\nx`
}

test('while the log cannot be written the sender gets a temporary error, and its retry succeeds', async () => {
  const { talk, stored, commits } = await openTrigger()
  const session = await talk()
  commits.fail(1)
  expect(await session.deliver(`${header}\r\nbody`)).toMatch(/^451 .*E_LOG_UNAVAILABLE/)
  expect(await stored()).toEqual([])
  expect(await session.deliver(`${header}\r\nbody`)).toMatch(/^250 /)
  expect(await stored()).toHaveLength(1)
})

test('a client beyond the limit gets 421', async () => {
  const { talk, port } = await openTrigger({ maxConnections: 2 })
  await talk()
  await talk()
  expect(await Session.connect(port).reply()).toMatch(/^421 /)
})

test('a mail that breaks off is not stored, and the next one is', async () => {
  const { talk, stored } = await openTrigger()
  const leaving = await talk()
  await leaving.say('EHLO test')
  await leaving.say('MAIL FROM:<ann@example.org>')
  await leaving.say('RCPT TO:<desk@example.net>')
  await leaving.say('DATA')
  leaving.leave()
  const session = await talk()
  expect(await session.deliver(`${header}\r\nbody`)).toMatch(/^250 /)
  expect(await stored()).toHaveLength(1)
})

test('stop accepts no more mail, and closes idle connections', async () => {
  const { talk, running, port } = await openTrigger()
  const idle = await talk()
  await running.stop()
  expect(await idle.reply()).toMatch(/^421 /)
  await expect(Session.connect(port).reply()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a port in use is an error that names the port', async () => {
  const { bus, port } = await openTrigger()
  await expect(smtp({ port }).start(bus)).rejects.toMatchObject({
    code: 'E_PORT_IN_USE',
    message: expect.stringContaining(String(port)),
  })
})

test('a recipient that is none is an error at the start', async () => {
  const { bus } = await openTrigger()
  await expect(smtp({ port: 0, recipients: ['example.net'] }).start(bus)).rejects.toMatchObject({
    code: 'E_APP_INVALID',
  })
})
