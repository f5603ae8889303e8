import fc from 'fast-check'
import { expect, test } from 'vitest'
import { passagesOf } from './passages.ts'

const line = fc.oneof(
  fc.constantFrom('', '', '# Title', '## Part', '### Detail', '```', '~~~js', '- item', '| a | b |', '> said', '---'),
  fc.lorem({ maxCount: 40 }),
  fc.string({ unit: 'grapheme' }),
)
const text = fc.array(line, { maxLength: 60 }).map(lines => lines.join('\n'))
const words = (of: string) => of.match(/\S+/g) ?? []

test('passages are the text itself, in order and without a gap', () => {
  fc.assert(
    fc.property(
      text.filter(it => !it.startsWith('---')),
      source => {
        const passages = passagesOf(source)
        let from = 0
        for (const passage of passages) {
          const at = source.indexOf(passage.text, from)
          expect(at).toBeGreaterThanOrEqual(from)
          expect(source.slice(from, at).trim()).toBe('')
          from = at + passage.text.length
        }
        expect(source.slice(from).trim()).toBe('')
      },
    ),
  )
})

test('none is longer than a page, however long a line or a code block is', () => {
  fc.assert(
    fc.property(fc.array(fc.lorem({ maxCount: 200 }), { maxLength: 10 }), paragraphs => {
      for (const separator of ['\n\n', '\n', ' '])
        for (const passage of passagesOf(paragraphs.join(separator)))
          expect(words(passage.text).length).toBeLessThanOrEqual(250)
    }),
  )
})

test('a passage knows its headings and its lines', () => {
  const passages = passagesOf('# Cron `jobs`\n\nHello.\n\n## Time [zones](#tz)\n\nThey shift.\n')
  expect(passages).toEqual([
    { heading: 'Cron jobs', place: 'lines 1–3', text: '# Cron `jobs`\n\nHello.' },
    { heading: 'Cron jobs › Time zones', place: 'lines 5–7', text: '## Time [zones](#tz)\n\nThey shift.' },
  ])
})

test('code is not a heading, and stays with the sentence that introduces it', () => {
  const prose = 'word '.repeat(90)
  const [first, ...others] = passagesOf(`${prose}do this:\n\n\`\`\`sh\n# not a heading\n\nls\n\`\`\`\n\nMore.`)
  expect(first!.text).toMatch(/ls\n```$/)
  expect(others.map(({ text }) => text)).toEqual(['More.'])
})

test('front matter gives the title and is not quoted', () => {
  expect(passagesOf('---\ntitle: Streams\n---\n\nThey flow.')).toEqual([
    { heading: 'Streams', place: 'line 5', text: 'They flow.' },
  ])
})
