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
