import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkCitations, draftOf, notFound, stands, unsure } from './citations.ts'

const passages = new Map([
  ['a.md#1', '> Clocks go **forward** in spring,\n> at two in the morning. Nights get `shorter` then.'],
  ['b c/d.md#2', '- Birds fly south before the winter; they come back.'],
])
const read = (id: string) => passages.get(id)

const check = (draft: string) => checkCitations(draft, read)
const kept = (draft: string) => check(draft).sections.flatMap(({ statements }) => statements)

test('a sentence stays that stands in the passage, white space and emphasis apart', () => {
  expect(kept('Clocks go forward in *spring*, at two in the morning. [a.md#1]')).toEqual([
    { text: 'Clocks go forward in *spring*, at two in the morning.', citations: ['a.md#1'] },
  ])
})

test('a sentence goes that was changed, cites the wrong passage, an unknown one, or nothing', () => {
  const { sections, dropped } = check(`
Clocks go backward in spring, at two in the morning. [a.md#1]

Clocks go forward in spring, at two in the morning. [b c/d.md#2]

- Nights get shorter then. [z.md#9]
- Nights get shorter then.`)
  expect(sections).toEqual([])
  expect(dropped.map(({ reason }) => reason)).toEqual([
    'it does not stand in a.md#1',
    'it does not stand in b c/d.md#2',
    'there is no passage z.md#9',
    'it cites nothing',
  ])
})

test('of several sentences and several citations those stay that hold', () => {
  expect(
    kept(
      '1. It is magic. Nights get shorter then. [a.md#1] [b c/d.md#2]. "Birds fly south before the winter" [b c/d.md#2]',
    ),
  ).toEqual([
    { text: 'Nights get shorter then.', citations: ['a.md#1'] },
    { text: 'Birds fly south before the winter', citations: ['b c/d.md#2'] },
  ])
})

test('a few words, or a piece of a word, prove nothing', () => {
  expect(stands('in spring', passages.get('a.md#1')!)).toBe(false)
  expect(stands('locks go forward in', passages.get('a.md#1')!)).toBe(false)
  expect(stands('Nights get shorter the', passages.get('a.md#1')!)).toBe(false)
})

test('headings stay only over what stays; to find nothing is no claim', () => {
  const { sections, dropped } = check(
    `# Title\n\n## Clocks\nNights get shorter then. [a.md#1]\n\n## Birds\n\n${notFound}`,
  )
  expect(sections.map(({ heading }) => heading)).toEqual(['Clocks'])
  expect(dropped).toEqual([])
})

test('that the writer is not sure is a mark of the draft, and no statement', () => {
  const { sections, dropped, unsure: isUnsure } = check(`# Title\n\n${unsure}\n\nNights get shorter then. [a.md#1]`)
  expect([sections.length, dropped, isUnsure]).toEqual([1, [], true])
  expect(check(draftOf(sections, true))).toEqual({ sections, dropped: [], unsure: true })
  expect(draftOf([], true)).toBe('')
})

test('whatever is written, only what stands in a passage comes through, and it comes through again', () => {
  const truths = ['Clocks go forward in spring, at two in the morning. [a.md#1]', 'Nights get shorter then. [a.md#1]']
  const draft = fc
    .array(fc.oneof(fc.constantFrom(...truths, '## Part', '', '- ', '[a.md#1]', '[x#1]', '['), fc.string(), fc.lorem()))
    .map(parts => parts.join('\n'))
  fc.assert(
    fc.property(draft, text => {
      const { sections } = check(text)
      for (const { statements } of sections)
        for (const { text: said, citations } of statements)
          for (const id of citations) expect(stands(said, read(id)!)).toBe(true)
      expect(check(draftOf(sections))).toEqual({ sections, dropped: [], unsure: false })
    }),
  )
})

test('what is true comes through, whatever stands around it', () => {
  const noise = fc.lorem({ mode: 'sentences', maxCount: 3 })
  fc.assert(
    fc.property(noise, noise, (before, after) => {
      const { sections } = check(`${before}\n\nNights get shorter then. [a.md#1]\n\n${after}`)
      expect(sections.flatMap(({ statements }) => statements)).toHaveLength(1)
    }),
  )
})
