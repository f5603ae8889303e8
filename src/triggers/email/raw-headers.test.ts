import { expect, test } from 'vitest'
import { parseMail } from './mail.ts'

test('a header of raw bytes is UTF-8, and windows-1252 where it is not, line by line', () => {
  const mail = parseMail(
    Buffer.concat([
      Buffer.from('From: Zo\xeb <zoe@example.org>\r\nSubject: caf\xe9 \x80 5\r\n', 'latin1'),
      Buffer.from('To: 漢字 <kanji@example.org>\r\nContent-Type: text/plain;\r\n\tname=grün.txt\r\n'),
      Buffer.from('Content-Disposition: attachment; filename="gr\xfcn.txt"\r\n\r\nx', 'latin1'),
    ]),
  )
  expect(mail).toMatchObject({
    from: { name: 'Zoë', address: 'zoe@example.org' },
    to: [{ name: '漢字', address: 'kanji@example.org' }],
    subject: 'café € 5',
    attachments: [{ filename: 'grün.txt' }],
  })
  expect(mail.headers).toContainEqual({ name: 'subject', value: 'café € 5' })
})
