import { expect, test } from 'vitest'
import { questionOf } from './question.ts'

test.for([
  ['asked outright', { question: '  Does it\nrain? ' }, 'Does it rain?'],
  [
    'a mail that asks',
    { subject: 'hi', text: 'Hello,\r\n\r\nDoes node.js 24\r\nrun? And does it fly?\r\n\r\n-- \r\nWhy not?' },
    'Does node.js 24 run? And does it fly?',
  ],
  ['an answer to a mail', { subject: 'Re: Fwd: time zones', text: 'Please look.\n\n> Does it rain?' }, 'time zones'],
  [
    'a mail without a subject',
    { subject: '', text: 'Tell me about\ntime zones.\n\nThanks.' },
    'Tell me about time zones.',
  ],
] as const)('%s', ([, asked, question]) => {
  expect(questionOf(asked)).toBe(question)
})

test('nothing asked is an error', () => {
  expect(() => questionOf({ subject: ' ', text: '\n' })).toThrow('the event has no question')
})
