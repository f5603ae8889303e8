/** Separates prose from code: fenced code, indented code, and MDX components. */
export function proseAndCode(text: string): { prose: string; code: string } {
  const prose: string[] = []
  const code: string[] = []
  let fence: string | undefined
  let component = false
  let list = false
  let before: 'blank' | 'code' | 'prose' = 'blank'
  for (const line of text.split('\n')) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1]
    const item = /^\s*(?:[-*+]|\d+[.)])\s/.test(line)
    const indented = /^(?: {4}|\t)/.test(line)
    if (fence === undefined && !component && line.trim() === '') {
      before = before === 'code' ? 'code' : 'blank'
      prose.push(line)
      continue
    }
    const starts: boolean = !component && fence === undefined && /^\s*<[A-Z]\w*(?:\s[^>]*)?$/.test(line)
    const runs: boolean =
      fence !== undefined ||
      mark !== undefined ||
      component ||
      starts ||
      (indented && !item && !list && before !== 'prose')
    if (runs) code.push(line)
    else prose.push(line)
    if (!runs) list = item || (list && indented)
    if (fence === undefined) fence = mark
    else if (mark?.startsWith(fence)) fence = undefined
    component = (component || starts) && !/\/?>\s*$/.test(line)
    before = runs ? 'code' : 'prose'
  }
  return { prose: prose.join('\n'), code: code.join('\n') }
}
