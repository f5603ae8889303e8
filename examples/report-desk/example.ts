const codeOrList =
  /^(?:[ \t]*\r?\n)*(?:([ \t]*(`{3,}|~{3,})[^\n]*\n[^]*?\n[ \t]*\2[ \t]*)(?:\n|$)|((?:[ \t]*(?:[-*+]|\d+[.)])[ \t][^\n]*(?:\n|$)(?:[ \t]+[^\s\-*+][^\n]*(?:\n|$))*)+))/
const mostLines = 30

/**
 * The code or list that follows a sentence with a colon in its passage, character for character. Without it the answer would be
 * incomplete.
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

/** Removes the indentation of a block that was part of a list. */
function dedent(block: string): string {
  const indent = /^[ \t]*/.exec(block)![0]
  return block
    .split('\n')
    .map(line => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join('\n')
}
