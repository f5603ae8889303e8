import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished, test, vi } from 'vitest'
import { header, openMailbox, Session } from '../../../test/lib/mailbox.ts'
import { selfSigned } from '../../testing/certificate.ts'
import { freePort } from '../../testing/ports.ts'
import { smtp, type SmtpOptions } from './smtp.ts'

const tls = selfSigned()
const users = { printer: 'correct horse', scanner: 'battery staple' }
const login = (user: string, password: string, as = '') => Buffer.from(`${as}\0${user}\0${password}`).toString('base64')
const encrypted = { version: 'TLSv1.3', cipher: expect.stringMatching(/^TLS_/) as string }

/** Certificate and mail as files, for clients that are programs. */
async function files() {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-mail-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const [cert, key, mail] = ['cert.pem', 'key.pem', 'mail.txt'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await Promise.all([writeFile(cert, tls.cert), writeFile(key, tls.key), writeFile(mail, `${header}\r\nbody\r\n`)])
  return { folder, cert, key, mail }
}

const run = promisify(execFile)

/** Why a test with this program cannot run; undefined when it can. */
const lackOf = (program: string) =>
  run(program, ['--version']).then(
    () => undefined,
    () => `${program} is not installed`,
  )

/** What curl says at the end; 0 is delivered. */
async function curl(url: string, mail: string, ...more: string[]) {
  const fixed = [
    '--silent',
    '--show-error',
    '--max-time',
    '10',
    '--mail-from',
    'ann@example.org',
    '--upload-file',
    mail,
  ]
  return run('curl', [url, ...fixed, '--mail-rcpt', 'desk@example.net', ...more]).then(
    () => ({ code: 0, stderr: '' }),
    (error: { code: number; stderr: string }) => ({ code: error.code, stderr: error.stderr }),
  )
}

test('curl delivers over STARTTLS, logged in, and what is wrong about it is refused', async ({ skip }) => {
  const lack = await lackOf('curl')
  if (lack) return skip(lack)
  const { cert, key, mail } = await files()
  const { port, stored } = await openMailbox({ tls: { key, cert, mode: 'required' }, auth: { users } })
  const url = `smtp://localhost:${port}`
  const secure = ['--ssl-reqd', '--cacert', cert]
  expect((await curl(url, mail)).stderr).toContain('530')
  expect((await curl(url, mail, ...secure)).stderr).toContain('530')
  expect((await curl(url, mail, ...secure, '--user', 'printer:wrong')).code).toBe(67)
  expect((await curl(url, mail, '--ssl-reqd', '--user', 'printer:correct horse')).code).toBe(60)
  expect(await stored()).toEqual([])
  for (const mechanism of ['PLAIN', 'LOGIN'])
    expect(
      await curl(url, mail, ...secure, '--user', 'printer:correct horse', '--login-options', `AUTH=${mechanism}`),
    ).toEqual({ code: 0, stderr: '' })
  const [event, ...others] = await stored()
  expect(others).toEqual([])
  expect(event!.data.envelope).toEqual({
    from: 'ann@example.org',
    to: ['desk@example.net'],
    remoteAddress: '127.0.0.1',
    helo: expect.stringMatching(/./),
    tls: encrypted,
    user: 'printer',
  })
  expect(JSON.stringify(event)).not.toMatch(/correct|battery/)
})

test('python delivers over implicit TLS, with a message within the mail', async ({ skip }) => {
  const lack = await lackOf('python3')
  if (lack) return skip(lack)
  const { folder, cert } = await files()
  const { port, stored, running } = await openMailbox({
    tls: { ...tls, mode: 'implicit' },
    auth: { users, optional: true },
  })
  expect(running.address).toBe(`smtps://127.0.0.1:${port}`)
  const script = join(folder, 'send.py')
  await writeFile(
    script,
    `
import smtplib, ssl, sys
from email.message import EmailMessage
inner = EmailMessage()
inner['From'], inner['Subject'] = 'eve@example.org', 'inner'
inner.set_content('not for you')
mail = EmailMessage()
mail['From'], mail['To'], mail['Subject'] = 'Ann <ann@example.org>', 'desk@example.net', 'Grüße'
mail.set_content('Liebe Leute,\\n.\\n..\\nbis bald')
mail.add_alternative('<p>Liebe Leute</p>', subtype='html')
mail.add_attachment(b'\\x00\\x01', maintype='application', subtype='octet-stream', filename='naïve/../漢.bin')
mail.add_attachment(inner)
with smtplib.SMTP_SSL('localhost', ${port}, context=ssl.create_default_context(cafile=sys.argv[1])) as client:
    client.send_message(mail)
    client.login('scanner', 'battery staple')
    del mail['Subject']
    mail['Subject'] = 'again'
    client.send_message(mail)
`,
  )
  await run('python3', [script, cert])
  const [first, second] = await stored()
  expect(first).toMatchObject({
    subject: 'Grüße',
    data: {
      text: 'Liebe Leute,\n.\n..\nbis bald\n',
      html: '<p>Liebe Leute</p>\n',
      attachments: [
        { filename: '漢.bin', contentType: 'application/octet-stream', bytes: 2 },
        { filename: null, contentType: 'message/rfc822' },
      ],
    },
  })
  expect(first!.data.envelope.tls).toEqual(encrypted)
  expect(first!.data.envelope).not.toHaveProperty('user')
  expect(second!.data.envelope).toMatchObject({ tls: encrypted, user: 'scanner' })
})

test('where TLS is required no mail begins before it, logged in or not', async () => {
  const { talk } = await openMailbox({ tls: { ...tls, mode: 'required' }, auth: { users, optional: true } })
  const session = await talk()
  await session.say('EHLO test')
  expect(await session.say('MAIL FROM:<ann@example.org>')).toMatch(/^530 5\.7\.0 .*STARTTLS/)
  expect(await session.say(`AUTH PLAIN ${login('printer', 'correct horse')}`)).toMatch(/^235 /)
  expect(await session.say('MAIL FROM:<ann@example.org>')).toMatch(/^530 5\.7\.0 .*STARTTLS/)
  await session.say('STARTTLS')
  await session.secure()
  expect(await session.deliver(`${header}\r\nbody`)).toMatch(/^250 /)
})

test('commands before the handshake are forgotten after it', async () => {
  const { talk, stored } = await openMailbox({ tls, auth: { users, optional: true } })
  const session = await talk()
  await session.say('EHLO before')
  expect(await session.say(`AUTH PLAIN ${login('printer', 'correct horse')}`)).toMatch(/^235 /)
  await session.say('MAIL FROM:<ann@example.org>')
  session.write('STARTTLS\r\nRCPT TO:<desk@example.net>\r\nNOOP\r\nEHLO injected\r\n')
  expect(await session.reply()).toMatch(/^220 /)
  await session.secure()
  // The first reply under TLS is to the first command under TLS.
  expect(await session.say('RCPT TO:<desk@example.net>')).toMatch(/^503 .*EHLO first/)
  expect(await session.deliver(`${header}\r\nbody`)).toMatch(/^250 /)
  const [{ data }, ...others] = (await stored()) as [Awaited<ReturnType<typeof stored>>[number]]
  expect(others).toEqual([])
  expect(data.envelope).toMatchObject({ helo: 'test', to: ['desk@example.net'], tls: encrypted })
  expect(data.envelope).not.toHaveProperty('user')
})

test('a login from afar is not even offered without encryption', async ({ skip }) => {
  const address = Object.values(networkInterfaces())
    .flatMap(all => all ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  if (!address) return skip('this machine has no address but those of loopback')
  const { port } = await openMailbox({ host: '0.0.0.0', tls, auth: { users } })
  const session = await Session.open(port, address)
  session.write('EHLO afar\r\n')
  expect(await session.offers()).toEqual(expect.not.arrayContaining([expect.stringContaining('AUTH')]))
  expect(await session.say(`AUTH PLAIN ${login('printer', 'correct horse')}`)).toMatch(/^500 /)
  expect(await session.say('STARTTLS')).toMatch(/^220 /)
  await session.secure()
  session.write('EHLO afar\r\n')
  expect(await session.offers()).toContain('AUTH LOGIN PLAIN')
  expect(await session.say(`AUTH PLAIN ${login('printer', 'correct horse')}`)).toMatch(/^235 /)
})

test('logins that fail are answered with 535, end the connection, and then all of that network wait', async () => {
  const { talk } = await openMailbox({ auth: { users } })
  const wrong = [login('printer', 'Correct horse'), login('nobody', ''), login('printer', 'correct horse', 'scanner')]
  for (let round = 0; round < 3; round++) {
    const session = await talk()
    await session.say('EHLO test')
    const answers = []
    for (const token of wrong) answers.push((await session.say(`AUTH PLAIN ${token}`)).slice(0, 9))
    expect(answers).toEqual(['535 5.7.8', '535 5.7.8', '421 4.4.2'])
    expect(await session.reply()).toBe('closed')
  }
  const session = await talk()
  await session.say('EHLO test')
  expect(await session.say('MAIL FROM:<ann@example.org>')).toMatch(/^530 .*a login is required/)
  expect(await session.say(`AUTH PLAIN ${wrong[0]}`)).toMatch(/^535 /)
  // The password is right, and is not looked at.
  expect(await session.say(`AUTH PLAIN ${login('printer', 'correct horse')}`)).toMatch(/^454 4\.7\.0 /)
})

test('a function may check logins; while it fails, all are refused', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  onTestFinished(() => warned.mockRestore())
  let isThere = false
  const check = async (user: string, password: string) => {
    if (!isThere) throw new Error('the directory is away')
    return user === 'ann' && password === 'secret'
  }
  const { talk } = await openMailbox({ auth: { users: check } })
  const session = await talk()
  await session.say('EHLO test')
  expect(await session.say(`AUTH PLAIN ${login('ann', 'secret')}`)).toMatch(/^454 /)
  isThere = true
  expect(await session.say(`AUTH PLAIN ${login('ann', 'secret')}`)).toMatch(/^235 /)
})

test('only a relay is believed, and only by its own name', async () => {
  const mail = [
    'Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=example.org; dkim=fail header.d=example.org',
    'Authentication-Results: forged.example; dmarc=pass',
    `${header}\r\nbody`,
  ].join('\r\n')
  const deliver = async (addresses: string[]) => {
    const { talk, stored } = await openMailbox({ relays: [{ authservId: 'mx.example.net', addresses }] })
    expect(await (await talk()).deliver(mail)).toMatch(/^250 /)
    const [event] = await stored()
    return {
      found: event!.data.authentication.map(({ authservId, method, result }) => [authservId, method, result]),
      names: event!.data.headers.slice(0, 2).map(({ name }) => name),
    }
  }
  expect(await deliver(['127.0.0.0/8'])).toEqual({
    found: [
      ['mx.example.net', 'spf', 'pass'],
      ['mx.example.net', 'dkim', 'fail'],
    ],
    names: ['authentication-results', 'untrusted-authentication-results'],
  })
  expect(await deliver(['10.0.0.0/8'])).toEqual({
    found: [],
    names: ['untrusted-authentication-results', 'untrusted-authentication-results'],
  })
})

test('a name in encoded words stays one, also where they are decoded because they hold a secret', async () => {
  const relays = [{ authservId: 'mx.example.net', addresses: ['127.0.0.0/8'] }]
  const { talk, stored } = await openMailbox({ relays })
  const token = `glpat-${'a1b2c3d4'.repeat(3)}`
  const forged = `Authentication-Results: =?utf-8?Q?mx.example.net=3B_dmarc=3Dpass_reason=3D${token}?=`
  expect(await (await talk()).deliver(`${forged}\r\n${header}\r\nbody`)).toMatch(/^250 /)
  const { data } = (await stored())[0]!
  expect(data.authentication).toEqual([])
  expect(data.headers[0]).toEqual({
    name: 'untrusted-authentication-results',
    value: 'mx.example.net; dmarc=pass reason=[redacted gitlab-token]',
  })
})

test('a sample is sent with the TLS and the login that the trigger requires', async () => {
  const triggers: SmtpOptions[] = [
    {},
    { recipients: ['*@example.net'], tls: { ...tls, mode: 'required' }, auth: { users } },
    { tls: { ...tls, mode: 'implicit' } },
  ]
  const sendSample = async (options: SmtpOptions) => {
    const port = await freePort()
    const { bus, stored } = await openMailbox({ ...options, port })
    await smtp({ ...options, port }).sendSample!(bus)
    await smtp({ ...options, port }).sendSample!(bus)
    expect((await stored()).map(({ subject }) => subject)).toEqual(['A sample', 'A sample'])
    if (!options.auth) return
    const wrong = { ...options, port, auth: { users: { printer: 'wrong' } } }
    await expect(smtp(wrong).sendSample!(bus)).rejects.toMatchObject({
      code: 'E_MAIL_REFUSED',
      message: expect.stringContaining('535'),
    })
    await expect(smtp({ ...options, port, tls: selfSigned() }).sendSample!(bus)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
    })
    await expect(smtp({ port: await freePort() }).sendSample!(bus)).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  }
  await Promise.all(triggers.map(sendSample))
})

test('nodemailer, which takes STARTTLS where it is offered, and old TLS not at all', async () => {
  const { port, stored, talk } = await openMailbox({ tls })
  const transport = createTransport({ host: 'localhost', port, tls: { ca: tls.cert } })
  onTestFinished(() => transport.close())
  await transport.sendMail({ from: 'ann@example.org', to: 'desk@example.net', subject: 'one', text: 'x' })
  const old = createTransport({
    host: 'localhost',
    port,
    tls: { ca: tls.cert, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  })
  await expect(old.sendMail({ from: 'ann@example.org', to: 'desk@example.net', text: 'x' })).rejects.toThrow()
  // It is only offered.
  expect(await (await talk()).deliver(`${header}\r\nbody`)).toMatch(/^250 /)
  expect((await stored()).map(({ data }) => data.envelope.tls)).toEqual([encrypted, undefined])
})

test('settings that would accept mail from anyone, or none at all, are errors at the start', async () => {
  const { bus } = await openMailbox()
  const wrong: Record<string, SmtpOptions> = {
    'cert is not set': { tls: { key: tls.key, cert: undefined } },
    'key is not set': { tls: { key: '', cert: tls.cert } },
    'cannot be read': { tls: { key: '/nowhere/key.pem', cert: tls.cert } },
    'cannot be used': { tls: { key: selfSigned().key, cert: tls.cert } },
    'password of SMTP user "ann"': { auth: { users: { ann: undefined } } },
    'has no users': { auth: { users: {} } },
    'any mail from anyone': { host: '0.0.0.0' },
    'any mail from anyone; set': { host: '::', tls, auth: { users, optional: true } },
    'a login needs TLS': { host: '0.0.0.0', auth: { users } },
    'is smaller than maxBytes': { maxBytes: 1_000, maxBytesAtOnce: 999 },
  }
  for (const [text, options] of Object.entries(wrong))
    await expect(smtp({ port: 0, ...options }).start(bus)).rejects.toMatchObject({
      code: 'E_SETTING_INVALID',
      message: expect.stringContaining(text),
    })
})
