import type { ChatAddToolApproveResponseFunction, DynamicToolUIPart, ToolUIPart, UIMessage } from 'ai'
import { getToolName, isToolUIPart } from 'ai'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import './page.css'

type Answer = ChatAddToolApproveResponseFunction

interface ConversationProps {
  readonly messages: readonly UIMessage[]
  readonly error: Error | undefined
  readonly answer: Answer
  readonly children: ReactNode
}

export function Conversation({ messages, error, answer, children }: ConversationProps) {
  const end = useRef<HTMLDivElement>(null)
  useEffect(() => {
    end.current?.scrollIntoView()
  }, [messages])
  return (
    <>
      <header>
        <h1>The shop</h1>
        <a href={location.pathname}>New chat</a>
      </header>
      <main>
        {messages.length === 0 && <p className="hint">Try “When are you open?” or “Please refund my order A-17.”</p>}
        <ol aria-label="Conversation" aria-live="polite">
          {messages.map(message => (
            <Message key={message.id} message={message} answer={answer} />
          ))}
        </ol>
        {error && <p role="alert">{error.message}</p>}
        <div ref={end} />
      </main>
      <footer>{children}</footer>
    </>
  )
}

function Message({ message: { role, parts }, answer }: { readonly message: UIMessage; readonly answer: Answer }) {
  return (
    <li className={role}>
      <span className="who">{role === 'user' ? 'You' : 'Shop'}</span>
      {parts.map((part, i) => {
        if (part.type === 'text') return <Text key={i} text={part.text} />
        return isToolUIPart(part) ? <ToolCall key={part.toolCallId} part={part} answer={answer} /> : null
      })}
    </li>
  )
}

/** Paragraphs, and headings of Markdown; a real page uses a renderer. */
const Text = ({ text }: { readonly text: string }) =>
  text.split('\n\n').map((block, i) => {
    const [, heading] = /^#+ (.*)$/.exec(block) ?? []
    return heading === undefined ? <p key={i}>{block}</p> : <h2 key={i}>{heading}</h2>
  })

const states: Partial<Record<ToolUIPart['state'], string>> = {
  'output-available': 'done',
  'output-error': 'failed',
  'output-denied': 'denied',
  'approval-requested': 'asks for your approval',
}

/** A call of a tool, with buttons while it waits for a person. */
function ToolCall({ part, answer }: { readonly part: ToolUIPart | DynamicToolUIPart; readonly answer: Answer }) {
  const { state, input, approval } = part
  const name = getToolName(part)
  return (
    <section className="call" aria-label={`Call of ${name}`}>
      <p>
        <code>{name}</code> {states[state] ?? 'runs …'}
      </p>
      {state === 'approval-requested' && approval && (
        <>
          <pre>{JSON.stringify(input, undefined, 2)}</pre>
          <button type="button" onClick={() => void answer({ id: approval.id, approved: true })}>
            Approve
          </button>
          <button type="button" className="quiet" onClick={() => void answer({ id: approval.id, approved: false })}>
            Deny
          </button>
        </>
      )}
    </section>
  )
}

interface ComposerProps {
  readonly isBusy: boolean
  readonly send: (text: string) => void
  readonly cancel: () => void
}

export function Composer({ isBusy, send, cancel }: ComposerProps) {
  const [text, setText] = useState('')
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        if (isBusy || text.trim() === '') return
        send(text)
        setText('')
      }}
    >
      <input
        aria-label="Message"
        placeholder="Ask the shop"
        autoComplete="off"
        value={text}
        onChange={event => setText(event.currentTarget.value)}
      />
      {isBusy ? (
        <button type="button" onClick={cancel}>
          Stop
        </button>
      ) : (
        <button type="submit">Send</button>
      )}
    </form>
  )
}
