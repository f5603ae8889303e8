import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addPart, type StreamPart } from '../../src/client/index.ts'
import { ResumedParts } from '../../src/client/resumed-parts.ts'

/* A stream of a task that is interrupted anywhere, and begins again at its beginning each time. */

const of = { agent: 'writer', call: 'c1', name: 'writer' }
const piece = (part: number, text: string): StreamPart => ({ type: 'text', ...of, part, text })
const finish = { type: 'finish', ...of, answer: { text: '' } } as unknown as StreamPart

/** A text in pieces. */
const pieces = (part: number, text: string, cuts: readonly number[]): StreamPart[] => {
  const at = [0, ...cuts.map(cut => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length]
  return at
    .slice(1)
    .map((end, i) => text.slice(at[i], end))
    .filter(each => each !== '')
    .map(each => piece(part, each))
}

const cuts = fc.array(fc.nat(20), { maxLength: 5 })
// A small alphabet, so that attempts often begin alike.
const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 })
/** An attempt that failed, as a connection shows it that was open at that time. */
const failed = fc.record({ text, cuts })

test('gives the texts of the log, each piece once, wherever the connections end', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ failed: fc.array(failed, { maxLength: 2 }), cuts, upTo: fc.nat(12) }), { maxLength: 4 }),
      fc.tuple(text, text),
      cuts,
      (interrupted, [first, second], lastCuts) => {
        const connection = (attempts: readonly { text: string; cuts: readonly number[] }[], own: readonly number[]) => [
          ...attempts.flatMap(attempt => [
            ...pieces(0, attempt.text, attempt.cuts),
            { type: 'restart', ...of, part: 0, kind: 'text' } as const,
          ]),
          ...pieces(0, first, own),
          ...pieces(1, second, own),
          finish,
        ]
        const resumed = new ResumedParts()
        let shown: readonly StreamPart[] = []
        const receive = (parts: readonly StreamPart[]) => {
          resumed.reconnect()
          for (const part of parts) for (const given of resumed.add(part)) shown = addPart(shown, given)
        }
        for (const { failed: attempts, cuts: own, upTo } of interrupted)
          receive(connection(attempts, own).slice(0, upTo))
        receive(connection([], lastCuts))
        const texts = shown.flatMap(part => (part.type === 'text' ? [[part.part, part.text]] : []))
        expect(Object.fromEntries(texts)).toEqual({ ...(first && { 0: first }), ...(second && { 1: second }) })
        expect(shown.filter(({ type }) => type === 'finish')).toHaveLength(1)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('an interruption alone restarts nothing', () => {
  const resumed = new ResumedParts()
  const given = [resumed.add(piece(0, 'Once ')), resumed.add(piece(0, 'upon '))]
  resumed.reconnect()
  const again = [piece(0, 'Once '), piece(0, 'upon a '), piece(0, 'time.'), finish]
  given.push(...again.map(part => resumed.add(part)))
  expect(given.flat().map(part => ('text' in part ? part.text : part.type))).toEqual([
    'Once ',
    'upon ',
    'a ',
    'time.',
    'finish',
  ])
})

test('each state comes once, and a user interface shows the newest', () => {
  const state = (phase: string): StreamPart => ({ type: 'state', ...of, call: 'task', state: { phase } })
  const resumed = new ResumedParts()
  const given = ['new', 'paid'].flatMap(phase => resumed.add(state(phase)))
  resumed.reconnect()
  given.push(...['new', 'paid', 'new', 'sent'].flatMap(phase => resumed.add(state(phase))))
  expect(given).toEqual(['new', 'paid', 'new', 'sent'].map(state))
  const shown = [...given, piece(0, 'Sent.')].reduce<readonly StreamPart[]>(addPart, [])
  expect(shown).toEqual([state('sent'), piece(0, 'Sent.')])
})
