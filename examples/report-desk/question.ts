import { z } from 'zod'
import { event } from '../../src/index.ts'
import { suggestion } from './suggestion.ts'

/** What starts the desk. People ask by it over HTTP and on the page `/ask`, which shows the texts of its schema. */
export const questionAsked = event(
  'question.asked',
  z
    .object({
      question: z
        .string()
        .min(1)
        .meta({ examples: [suggestion] }),
    })
    .meta({
      title: 'What would you like to know?',
      description: 'Five agents answer from the documents, word for word and with sources. You approve the report.',
    }),
)

/** Data of `question.asked`, or of `email.received`. */
export interface Asked {
  readonly question?: string | undefined
  readonly subject?: string | undefined
  readonly text?: string | undefined
}

/**
 * The question. In a mail: its sentences that end in a question mark, else its subject, else its first paragraph, without
 * quoted mails and signature.
 */
export function questionOf({ question, subject = '', text = '' }: Asked): string {
  const own = text
    .replace(/\r/g, '')
    .replace(/^-- ?\n[^]*/m, '')
    .replace(/^>.*$/gm, '')
  const sentences = own.match(/[^.?!\s](?:[^.?!\n]|[.?!](?=\S)|\n(?!\s*\n))*\?/g)?.join(' ')
  const asked =
    question ?? sentences ?? (subject.replace(/^(?:(?:re|fwd?):\s*)+/i, '') || own.trim().split(/\n\s*\n/)[0])
  const squeezed = asked?.replace(/\s+/g, ' ').trim()
  if (!squeezed) throw new Error('the event has no question: data.question is missing or empty')
  return squeezed
}
