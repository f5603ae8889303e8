import fc from 'fast-check'
import { expect, test } from 'vitest'
import { htmlReader } from './html.ts'

const textOf = (html: string) => htmlReader()(html)

function expectTexts(texts: Record<string, string>): void {
  for (const [html, text] of Object.entries(texts)) expect([html, textOf(html)]).toEqual([html, text])
}

test('cells of a table stay apart', () => {
  expectTexts({
    '<table><tr><td>10</td><td>5</td></tr><tr><th>a</th> <th>b</th></tr></table>': '10\t5\na\tb',
    '<table><tr><td><p>10</p></td><td><div>5</div></td><td></td><td>7</td></tr></table>': '10\t5\t\t7',
    '<table><tr><td>1<br>2</td><td>3</td></tr></table>': '1\n2\n3',
    '<td>10</td><td>5</td>': '10\n5',
  })
})

test('links keep where they lead', () => {
  expectTexts({
    'pay <a href="https://x.test/a?b=1&amp;c=2">the <b>order</b></a> now':
      'pay the order [https://x.test/a?b=1&c=2] now',
    '<a href="https://x.test">https://x.test</a> <a href="mailto:a@x.test">a@x.test</a> <a href="#top">up</a>':
      'https://x.test a@x.test up',
    '<a href="https://x.test"><img src="cid:1" alt="Logo"></a>': 'Logo [https://x.test]',
  })
})

test('what a reader sees, line by line', () => {
  expectTexts({
    '<p>Dear  desk,</p>\n<p>a<br>b <b>c</b>\n d</p>': 'Dear desk,\n\na\nb c d',
    '<head><title>x</title></head><style>p { }</style><p>y</p><SCRIPT>z < 1</SCRIPT>!': 'y\n\n!',
    '&lt;b&gt; &amp;amp; &#33;&#x1F600;&nbsp;&eacute; &euro; & &#xD800; &#9999999;':
      '<b> &amp; !😀 é € & \ufffd \ufffd',
    '<h1>A</h1><ul><li>one<li><p>two</p></ul><ol start="3"><li>x<li>y</ol>': 'A\n\n- one\n\n- two\n\n3. x\n4. y',
    '<ol start="0"><li>x<li value="7">y<li>z</ol>': '0. x\n7. y\n8. z',
    '<center>10</center><center>5</center><figure>9<figcaption>7</figcaption></figure><select><option>1<option>2</select>':
      '10\n5\n9\n7\n1\n2',
    '<address>10</address>5<fieldset><legend>3</legend>4</fieldset><details><summary>6</summary>7</details>8':
      '10\n5\n3\n4\n6\n7\n8',
    'a<blockquote>b<blockquote>c<br>d</blockquote></blockquote>e': 'a\n\n> b\n>\n> > c\n> > d\n\ne',
    '<pre>a\n  b  \n</pre>': 'a\n  b',
    '<html><body>a</body></html>a footer': 'a\na footer',
    'cut <a href="': 'cut',
    '<script>never ends': '',
    '': '',
  })
})

test('HTML that costs more than its size suggests is cut, and the text says so', () => {
  const cut = '[cut: the rest is only in the HTML]'
  // Left alone these run for minutes, or out of memory.
  expect(textOf('<b>'.repeat(100_000) + '</x>'.repeat(500_000))).toBe(`…\n\n${cut}`)
  expect(textOf(`${'<p>a</p>'.repeat(10_000)}<p>b`)).toBe(`${'a\n\n'.repeat(10_000)}${cut}`)
  const deep = (tag: string) => `<${tag}>`.repeat(90)
  expect(textOf(`${deep('ul><li')}<pre>${'x\n'.repeat(400_000)}`).length).toBeLessThan(900_000)
  expect(textOf(`${deep('blockquote')}<pre>${'x\n'.repeat(400_000)}`).length).toBeLessThan(900_000)
  expect(textOf(`${deep('a href=x')}${'w '.repeat(400_000)}`)).toMatch(/^(w )+\[x\]( \[x\])+$/)
  expect(textOf(`${'<div>'.repeat(199)}a`)).toBe('a')
  expect(textOf(`${'<div>'.repeat(201)}a`)).toBe('…')
  const read = htmlReader()
  expect([read('<p>a</p>'.repeat(9_999)).length, read('<b>b</b>'), read('<i>c</i>')]).toEqual([29_995, 'b', cut])
})

test('any text is read, in well-formed lines without blanks around them', () => {
  const tags = ['p', 'table', 'tr', 'td', 'ul', 'ol', 'li', 'blockquote', 'pre', 'a href=x', 'script', 'title', 'body']
  const signs = ['<', '>', '&', '&amp;', '&#1;', '&#55357;', ' ', '\n', '"']
  const piece = fc.oneof(
    fc.constantFrom(...signs, ...tags.flatMap(tag => [`<${tag}>`, `</${tag}>`])),
    fc.string({ unit: 'grapheme' }),
  )
  fc.assert(
    fc.property(fc.array(piece), pieces => {
      const text = textOf(pieces.join(''))
      expect(text.isWellFormed()).toBe(true)
      expect(text).not.toMatch(/^\s|[ \t]\n|\n{3}|\s$/)
    }),
  )
})
