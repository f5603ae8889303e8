import fc from 'fast-check'
import { expect, test } from 'vitest'
import { textOf } from './html.ts'

test('what a reader sees, line by line', () => {
  const texts: Record<string, string> = {
    '<p>Dear  desk,</p>\n<p>a<br>b <b>c</b>\n d</p>': 'Dear desk,\na\nb c d',
    '<head><title>x</title></head><style>p { }</style><p>y</p><SCRIPT>z < 1</SCRIPT>!': 'y\n!',
    '&lt;b&gt; &amp;amp; &#33;&#x1F600;&nbsp;&eacute; & &#xD800; &#9999999;':
      '<b> &amp; !😀 &eacute; & \ufffd &#9999999;',
    '<ul><li>one<li>two</ul><table><tr><td>a</td> <td>b</td></tr><tr><td>c</td></tr></table>': 'one\ntwo\na b\nc',
    'cut <a href="': 'cut',
    '<script>never ends': '',
    '': '',
  }
  for (const [html, text] of Object.entries(texts)) expect([html, textOf(html)]).toEqual([html, text])
})

test('any text is read, to no more than it was, in well-formed lines without blanks around them', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '<',
      '>',
      '<p>',
      '</script>',
      '<script>',
      '&',
      '&amp;',
      '&#1;',
      '&#128512;',
      '&#55357;',
      ' ',
      '\n',
      '"',
    ),
    fc.string({ unit: 'grapheme' }),
  )
  fc.assert(
    fc.property(fc.array(piece), pieces => {
      const html = pieces.join('')
      const text = textOf(html)
      expect(text.length).toBeLessThanOrEqual(html.length)
      expect(text.isWellFormed()).toBe(true)
      expect(text).not.toMatch(/^[ \n]|[ \n]{2}|[ \n]$/)
    }),
  )
})
