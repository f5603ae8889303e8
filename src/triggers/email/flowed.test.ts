import { expect, test } from 'vitest'
import { unflow } from './flowed.ts'
import { parseMail } from './mail.ts'

test('lines that flow are one paragraph again', () => {
  const texts: Record<string, string> = {
    'The order \nis late.\nCall me.': 'The order is late.\nCall me.',
    '> What is \n> late?\n>> An \n>> order.\nThis \none.': '> What is late?\n>> An order.\nThis one.',
    ' > no quote\n From me\n  indented': '> no quote\nFrom me\n indented',
    'Bye \n-- \nAnn \nof Sales': 'Bye \n-- \nAnn of Sales',
    'a \n\nb': 'a \n\nb',
    '>a \n>b\n> \n>>\n>': '> a b\n> \n>> \n> ',
    '': '',
  }
  for (const [text, whole] of Object.entries(texts)) expect([text, unflow(text, false)]).toEqual([text, whole])
})

test('with DelSp the blank at the end of a line is no part of the text', () => {
  expect(unflow('漢 \n字 \nです\n>  a \n> b', true)).toBe('漢字です\n>  ab')
})

test('a header marks a text as flowed', () => {
  const read = (type: string, disposition = 'inline') =>
    parseMail(
      Buffer.from(
        `From: a@b.c\r\nContent-Type: ${type}\r\nContent-Disposition: ${disposition}\r\n\r\none \r\ntwo\r\n`,
        'latin1',
      ),
    )
  expect(read('text/plain; format=flowed').text).toBe('one two\n')
  expect(read('text/plain; Format=Flowed; DelSp="Yes"').text).toBe('onetwo\n')
  expect(read('text/plain; format=fixed').text).toBe('one \ntwo\n')
  expect(Buffer.from(read('text/plain; format=flowed', 'attachment').attachments[0]!.content).toString()).toBe(
    'one \r\ntwo\r\n',
  )
})
