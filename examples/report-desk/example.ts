const codeOrList =
  /^(?:[ \t]*\r?\n)*(?:([ \t]*(`{3,}|~{3,})[^\n]*\n[^]*?\n[ \t]*\2[ \t]*)(?:\n|$)|((?:[ \t]*(?:[-*+]|\d+[.)])[ \t][^\n]*(?:\n|$)(?:[ \t]+[^\s\-*+][^\n]*(?:\n|$))*)+))/
const mostLines = 30

/**
 * What a sentence announces with a colon: the code or the list that follows it in its passage, character for character.
 * Without it a reader would be left with half an answer.
 */
export function announced(sentence: string, passage: string): string | undefined {
  if (!sentence.endsWith(':')) return undefined
  const words = sentence.split(/\s+/).map(word => RegExp.escape(word))
  const found = new RegExp(words.join(String.raw`\s+(?:>\s*)?`)).exec(passage)
  if (!found) return undefined
  const following = passage.slice(found.index + found[0].length)
  const [, code, , list] = codeOrList.exec(following) ?? []
  const block = (code ?? list)?.replace(/\s+$/, '')
  return block !== undefined && block.split('\n').length <= mostLines ? dedent(block) : undefined
}

/** A block that was part of a list stands alone now. */
function dedent(block: string): string {
  const indent = /^[ \t]*/.exec(block)![0]
  return block
    .split('\n')
    .map(line => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join('\n')
}
