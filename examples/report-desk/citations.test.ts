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

test('a sentence that is in the passage stays, apart from white space and emphasis', () => {
  expect(kept('Clocks go forward in *spring*, at two in the morning. [a.md#1]')).toEqual([
    { text: 'Clocks go forward in *spring*, at two in the morning.', citations: ['a.md#1'] },
  ])
})

test('a sentence is removed if it was changed, or cites a wrong or unknown passage or none', () => {
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

test('of several sentences and citations, the supported ones stay', () => {
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

test('a heading stays only with its text; finding nothing is not a claim', () => {
  const { sections, dropped } = check(
    `# Title\n\n## Clocks\nNights get shorter then. [a.md#1]\n\n## Birds\n\n${notFound}`,
  )
  expect(sections.map(({ heading }) => heading)).toEqual(['Clocks'])
  expect(dropped).toEqual([])
})

test('the uncertainty of the writer is a flag of the draft, not a sentence', () => {
  const { sections, dropped, unsure: isUnsure } = check(`# Title\n\n${unsure}\n\nNights get shorter then. [a.md#1]`)
  expect([sections.length, dropped, isUnsure]).toEqual([1, [], true])
  expect(check(draftOf(sections, true))).toEqual({ sections, dropped: [], unsure: true })
  expect(draftOf([], true)).toBe('')
})

test('only sentences of a passage pass the check, and they pass it a second time', () => {
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

test('a true sentence passes, whatever is around it', () => {
  const noise = fc.lorem({ mode: 'sentences', maxCount: 3 })
  fc.assert(
    fc.property(noise, noise, (before, after) => {
      const { sections } = check(`${before}\n\nNights get shorter then. [a.md#1]\n\n${after}`)
      expect(sections.flatMap(({ statements }) => statements)).toHaveLength(1)
    }),
  )
})
