const hidden = /^<(head|script|style)\b/i
const breaking = /^<\/?(p|div|br|li|tr|h[1-6]|table|ul|ol|blockquote|hr)\b/i
const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

/** The text that a reader of the HTML sees, roughly; for mails that bring no text of their own. In linear time. */
export function textOf(html: string): string {
  let text = ''
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf('<', at)
    if (open < 0) return tidy(text + html.slice(at))
    text += html.slice(at, open)
    const tag = html.slice(open, open + 16)
    const end = closing(html, open, hidden.exec(tag)?.[1])
    if (end < 0) break
    if (breaking.test(tag)) text += '\n'
    at = end
  }
  return tidy(text)
}

/** Where the tag ends, or with a name the element; -1 when it does not. */
function closing(html: string, open: number, element: string | undefined): number {
  if (!element) return html.indexOf('>', open) + 1 || -1
  const end = new RegExp(`</${element}\\b`, 'gi')
  end.lastIndex = open
  const match = end.exec(html)
  return match ? html.indexOf('>', match.index) + 1 || -1 : -1
}

const tidy = (text: string) =>
  text
    .replace(/&(#\d{1,6}|[a-z]{2,5});/gi, (whole, name: string) =>
      name[0] === '#' ? character(Number(name.slice(1))) : (entities[name.toLowerCase()] ?? whole),
    )
    .split('\n')
    .map(line => line.split(/\s+/).filter(Boolean).join(' '))
    .filter(Boolean)
    .join('\n')

const character = (code: number) => (code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ' ')
