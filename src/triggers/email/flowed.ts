/*
 * Plain text with soft line breaks (RFC 3676, `format=flowed`): a line that ends with a space continues in the next line of
 * the same quote level.
 */

/** Joins the lines of each paragraph. With `delSp` the space at a soft line break is removed. */
export function unflow(text: string, delSp: boolean): string {
  const paragraphs: string[] = []
  let open: { depth: number; pieces: string[] } | undefined
  const close = () => {
    if (open) paragraphs.push(quoted(open.depth, open.pieces.join('')))
    open = undefined
  }
  for (const line of text.split('\n')) {
    const depth = quoteDepth(line)
    // Senders add a space before a line that would look like a quote or like `From `.
    const content = line.slice(line[depth] === ' ' ? depth + 1 : depth)
    const isSignature = content === '-- '
    // An empty line ends the paragraph, even after a soft line break.
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
