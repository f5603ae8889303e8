/** Data of `question.asked`, or of `email.received`. */
export interface Asked {
  readonly question?: string | undefined
  readonly subject?: string | undefined
  readonly text?: string | undefined
}

/**
 * What is asked. Of a mail: its sentences that end in a question mark, else its subject, else its first paragraph;
 * what it quotes from other mails and its signature do not count.
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
  if (!squeezed) throw new Error('nothing is asked: data.question is missing or empty')
  return squeezed
}
