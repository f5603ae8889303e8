import { lexer, type MarkedToken, type Token, type Tokens } from 'marked'
import { Fragment, memo, type ReactNode } from 'react'
import { classes } from './classes.ts'
import styles from './markdown.module.css'

interface MarkdownProps {
  readonly text: string
  /** What to show for `[TEXT]` that is no link, such as a citation; undefined leaves it as it is. */
  readonly reference?: (text: string) => ReactNode
  /** The text is still being written. */
  readonly isGrowing?: boolean
}

/** Markdown as elements. Nothing of the text becomes HTML: raw HTML is shown as text, pictures as their descriptions, and only web links open. */
export function Markdown({ text, reference, isGrowing = false }: MarkdownProps) {
  const blocks = blocksIn(text)
  return (
    <div className={classes(styles.markdown, isGrowing && styles.growing)} dir="auto">
      {blocks.map((token, index) => (
        <Block key={index} raw={token.raw} token={token} reference={reference} />
      ))}
    </div>
  )
}

/** The time that the lexer takes grows with the square of the marks of emphasis in a paragraph. */
const maxMarks = 1_500

/** A text that would take too long as Markdown, or is nested too deeply, stays as it is. */
function blocksIn(text: string): Token[] {
  const plain = [{ type: 'text', raw: text, text }]
  if (text.split(/\n\s*\n/).some(paragraph => paragraph.split(/[*_]+/).length > maxMarks)) return plain
  try {
    return lexer(text)
  } catch {
    return plain
  }
}

type Reference = MarkdownProps['reference']

/** While a text grows, only its last block changes. */
const Block = memo(
  ({ token, reference }: { raw: string; token: Token; reference: Reference }) => <>{shown(token, reference)}</>,
  (before, after) => before.raw === after.raw && before.reference === after.reference,
)

const all = (tokens: readonly Token[] | undefined, reference: Reference): ReactNode =>
  tokens?.map((token, index) => <Fragment key={index}>{shown(token, reference)}</Fragment>)

function shown(given: Token, reference: Reference): ReactNode {
  const token = given as MarkedToken
  switch (token.type) {
    case 'heading': {
      // The page has a heading of the first level.
      const Heading = `h${Math.min(6, token.depth + 1)}` as 'h2'
      return <Heading>{all(token.tokens, reference)}</Heading>
    }
    case 'paragraph':
      return <p>{all(token.tokens, reference)}</p>
    case 'text':
      return token.tokens ? all(token.tokens, reference) : withReferences(decoded(token.text), reference)
    case 'escape':
      return token.text
    case 'html':
      return /^<br\s*\/?>$/i.test(token.text.trim()) ? <br /> : token.text
    case 'code':
      return (
        <pre tabIndex={0}>
          <code>{token.text}</code>
        </pre>
      )
    case 'codespan':
      return <code>{token.text}</code>
    case 'strong':
      return <strong>{all(token.tokens, reference)}</strong>
    case 'em':
      return <em>{all(token.tokens, reference)}</em>
    case 'del':
      return <del>{all(token.tokens, reference)}</del>
    case 'blockquote':
      return <blockquote>{all(token.tokens, reference)}</blockquote>
    case 'list': {
      const List = token.ordered ? 'ol' : 'ul'
      const items = token.items.map((item, index) => <li key={index}>{all(item.tokens, reference)}</li>)
      return <List {...(token.start !== '' && token.start !== 1 && { start: token.start })}>{items}</List>
    }
    case 'checkbox':
      return <input type="checkbox" checked={token.checked} readOnly disabled aria-label="done" />
    case 'table':
      return <Table token={token} reference={reference} />
    case 'link':
      return /^https?:\/\//i.test(token.href) ? (
        <a href={token.href} target="_blank" rel="noreferrer noopener">
          {all(token.tokens, reference)}
        </a>
      ) : (
        all(token.tokens, reference)
      )
    case 'image':
      return token.text
    case 'br':
      return <br />
    case 'hr':
      return <hr />
    case 'def':
    case 'list_item':
    case 'space':
      return null
    default:
      return (token as Token).raw
  }
}

function Table({ token, reference }: { token: Tokens.Table; reference: Reference }) {
  return (
    <div className={styles.table} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {token.header.map((cell, index) => (
              <th key={index}>{all(cell.tokens, reference)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{all(cell.tokens, reference)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function withReferences(text: string, reference: Reference): ReactNode {
  if (!reference || !text.includes('[')) return text
  return text.split(/(\[[^[\]\n]+\])/).map((piece, index) => {
    const isReference = index % 2 === 1
    return <Fragment key={index}>{(isReference ? reference(piece.slice(1, -1)) : undefined) ?? piece}</Fragment>
  })
}

/** A text with the characters that its character references name. It stays a text. */
function decoded(text: string): string {
  if (!/&#?\w+;/.test(text)) return text
  return new DOMParser().parseFromString(text.replaceAll('<', '&lt;'), 'text/html').body.textContent ?? text
}
