import type { StreamPart } from '../ask/parts.ts'

type Piece = Extract<StreamPart, { readonly text: string }>

interface PartText {
  readonly of: Piece
  /** What the reader has. */
  given: string
  /** What this connection has sent. */
  sent: string
}

/**
 * A task's stream starts at its beginning on each connection. This passes on what the reader does not have yet: the rest of each text, and
 * a `restart` where the text is another one now.
 */
export class ResumedParts {
  readonly #texts = new Map<string, PartText>()
  readonly #seen = new Set<string>()
  /** How many states the reader has, and this connection has sent. */
  readonly #states = { given: 0, sent: 0 }

  /** A new connection has begun. */
  reconnect(): void {
    for (const text of this.#texts.values()) text.sent = ''
    this.#states.sent = 0
  }

  add(part: StreamPart): StreamPart[] {
    if (part.type === 'progress') return [part]
    if (part.type === 'event') return this.#once(`event ${part.event.id}`, part)
    if (part.type === 'state') return this.#states.given < ++this.#states.sent ? [(this.#states.given++, part)] : []
    if (part.type === 'restart') {
      const text = this.#texts.get(`${part.call} ${part.part}`)
      if (!text) return []
      const isNew = text.sent === text.given
      text.sent = ''
      return isNew ? this.#reset(text) : []
    }
    if ('text' in part) return this.#grow(part)
    // The end of a call: what it did not send is void.
    const stale = [...this.#texts.values()].filter(({ of, given, sent }) => of.call === part.call && given !== sent)
    return [...stale.flatMap(text => this.#rewrite(text)), ...this.#once(`${part.type} ${part.call}`, part)]
  }

  #once(key: string, part: StreamPart): StreamPart[] {
    if (this.#seen.has(key)) return []
    this.#seen.add(key)
    return [part]
  }

  #grow(piece: Piece): StreamPart[] {
    const key = `${piece.call} ${piece.part}`
    const text = this.#texts.get(key) ?? { of: piece, given: '', sent: '' }
    this.#texts.set(key, text)
    text.sent += piece.text
    if (text.given.startsWith(text.sent)) return []
    if (!text.sent.startsWith(text.given)) return this.#rewrite(text)
    const rest = text.sent.slice(text.given.length)
    text.given = text.sent
    return [{ ...piece, text: rest }]
  }

  #rewrite(text: PartText): StreamPart[] {
    const restart = this.#reset(text)
    text.given = text.sent
    return text.sent === '' ? restart : [...restart, { ...text.of, text: text.sent }]
  }

  #reset(text: PartText): StreamPart[] {
    text.given = ''
    const { agent, call, name, part, type: kind } = text.of
    return [{ type: 'restart', agent, call, name, part, kind }]
  }
}

/**
 * The parts that a user interface shows, after one more part: pieces of a text are joined, and what is void is removed, also
 * an earlier state.
 * @example
 * let shown: readonly import('tidings/client').StreamPart[] = []
 * for await (const part of (await browser.ask('helper', 'Hello')).stream()) show((shown = addPart(shown, part)))
 */
export function addPart(parts: readonly StreamPart[], part: StreamPart): readonly StreamPart[] {
  const isOfText = (other: StreamPart) =>
    'part' in part && 'text' in other && other.call === part.call && other.part === part.part
  if (part.type === 'restart') return parts.filter(other => !isOfText(other))
  if (part.type === 'state') return [...parts.filter(({ type }) => type !== 'state'), part]
  if (!('text' in part)) return [...parts, part]
  const at = parts.findIndex(isOfText)
  return at < 0 ? [...parts, part] : parts.with(at, { ...part, text: (parts[at] as Piece).text + part.text })
}
