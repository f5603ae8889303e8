import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeReport } from './report.ts'

const folder = mkdtempSync(join(tmpdir(), 'report-desk-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const passages: Record<string, string> = {
  'a.md#1':
    'Set the size option like this:\n\n```js\nsize: 1024 // <b>\n```\n\nSet it early. See [more](javascript:alert(1)) <img src=x onerror=alert(1)> here.',
  'b.md#7':
    'The following things are allowed:\n\n- green apples are allowed\n- red apples too\n\nNothing else is allowed here.',
}
const read = (id: string) => ({ id, path: id.slice(0, 4), heading: 'Head', place: 'line 1', text: passages[id]! })
const write = (statements: { text: string; citations: string[] }[], question = 'How large?') =>
  writeReport({ question, sections: [{ heading: 'Part', statements }], unanswered: [], model: 'test' }, read, {
    folder,
    key: 'k',
  })

test('passages are numbered as they are cited, and what a sentence announces follows it', () => {
  const { markdown, citations, files } = write([
    { text: 'The following things are allowed:', citations: ['b.md#7'] },
    { text: 'green apples are allowed', citations: ['b.md#7'] },
    { text: 'Set the size option like this:', citations: ['a.md#1'] },
  ])
  expect(markdown).toContain(
    'allowed: [1]\n\n- green apples are allowed\n- red apples too\n\nSet the size option like this: [2]\n\n```js\nsize: 1024 // <b>\n```\n',
  )
  expect(markdown).toContain('1. `b.md#7` (line 1) — Head\n2. `a.md#1`')
  expect(citations.map(({ number, id }) => [number, id])).toEqual([
    [1, 'b.md#7'],
    [2, 'a.md#1'],
  ])
  expect(readFileSync(files.markdown, 'utf8')).toBe(markdown)
})

test('the page contains no markup from sources', () => {
  const text = 'See [more](javascript:alert(1)) <img src=x onerror=alert(1)> here.'
  const { files } = write([{ text, citations: ['a.md#1'] }], '<script>alert(1)</script>')
  const html = readFileSync(files.html, 'utf8')
  expect(html).not.toMatch(/<script|<img|<b>|javascript:[^<]*"/)
  expect(html).toContain('&lt;script&gt;')
})

test('a report without sources says so', () => {
  const { answered, markdown } = writeReport(
    { question: 'Why?', sections: [], unanswered: ['Why?', 'because'], model: 'test' },
    read,
    { folder, key: 'k' },
  )
  expect(answered).toBe(false)
  expect(markdown).toContain('# Why?\n\nThe documents do not answer this question.\n\n')
})
