/*
 * Plain text whose lines may be joined again (RFC 3676, `format=flowed`): a line that ends with a blank goes on in the
 * next one of the same quote level.
 */

/** The text in whole paragraphs. With `delSp` the blanks that mark the ends of lines are no part of the text. */
export function unflow(text: string, delSp: boolean): string {
  const paragraphs: string[] = []
  let open: { depth: number; pieces: string[] } | undefined
  const close = () => {
    if (open) paragraphs.push(quoted(open.depth, open.pieces.join('')))
    open = undefined
  }
  for (const line of text.split('\n')) {
    const depth = quoteDepth(line)
    // A blank is put before what would otherwise read as a quote, or as `From `.
    const content = line.slice(line[depth] === ' ' ? depth + 1 : depth)
    const isSignature = content === '-- '
    // A blank line is one, also behind a line that promised to go on.
    if (open && (open.depth !== depth || isSignature || content === '')) close()
    open ??= { depth, pieces: [] }
    const flows = content.endsWith(' ') && !isSignature
    open.pieces.push(flows && delSp ? content.slice(0, -1) : content)
    if (!flows) close()
  }
  close()
  return paragraphs.join('\n')
}

function quoteDepth(line: string): number {
  let depth = 0
  while (line[depth] === '>') depth++
  return depth
}

const quoted = (depth: number, text: string) => (depth === 0 ? text : `${'>'.repeat(depth)} ${text}`)
