import { userInfo } from 'node:os'
import { styleText } from 'node:util'
import { answerApproval, type CloudEvent, type Running, TidingsError } from '../../src/index.ts'
import { plain } from './terminal.ts'

type Bus = Running['bus']

/** What the editor is asked. Whoever may write to the log may have written it. */
type Asked = CloudEvent<{ what?: { input?: { question?: unknown; draft?: unknown } }; hash: string }>

const approvals = ['approval.requested', 'approval.granted', 'approval.denied']
const linesShown = 12

/** Whoever sits at this computer, as answers are signed. */
export const me = () => `desk/${userInfo().username}`

export const answer = (bus: Bus, { id, data }: Asked, decision: 'grant' | 'deny', comment?: string) =>
  answerApproval(bus, {
    id,
    decision,
    hash: data.hash,
    by: me(),
    ...(comment !== undefined && { comment }),
    source: '/report-desk',
  })

/** The person at this terminal, who is shown one draft after the other and lets it go out or not. */
export class Editor {
  readonly #bus: Bus
  readonly #say: (text: string) => void
  /** The first one is on the screen. */
  readonly #waiting: Asked[] = []

  constructor(bus: Bus, say: (text: string) => void) {
    this.#bus = bus
    this.#say = say
  }

  /** What was asked before this position, while nobody was here. */
  async recall(before: number): Promise<void> {
    for await (const { position, event } of this.#bus.read({ filter: [{ types: approvals }] }))
      if (position <= before) this.hear(await this.#bus.resolve(event), false)
    this.#show()
  }

  hear(event: CloudEvent, show = true): void {
    const first = this.#waiting[0]
    if (event.type === 'approval.requested' && event.target === 'editor') this.#waiting.push(event as Asked)
    else if (approvals.includes(event.type)) this.#forget(event.call)
    if (show && this.#waiting[0] !== first) this.#show()
  }

  /** Takes a line where it is an answer to what is on the screen; false where it is something else. */
  async takes(line: string): Promise<boolean> {
    const [said, no, why] = /^\s*(?:y|(n)(?:\s+(.*\S))?)\s*$/i.exec(line) ?? []
    if (said === undefined) return false
    const asked = this.#waiting[0]
    if (!asked) this.#say('nothing waits for your approval')
    else await this.#answer(asked, no === undefined ? 'grant' : 'deny', why)
    return true
  }

  async #answer(asked: Asked, decision: 'grant' | 'deny', comment: string | undefined) {
    try {
      await answer(this.#bus, asked, decision, comment)
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error
      this.#say(styleText('yellow', error.message))
      // The log could not be asked: the draft still waits.
      if (error.code === 'E_LOG_UNAVAILABLE') return
    }
    const first = this.#waiting[0]
    this.#forget(asked.id)
    if (this.#waiting[0] !== first) this.#show()
  }

  #forget(id: string | undefined) {
    const at = this.#waiting.findIndex(asked => asked.id === id)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  #show() {
    const [asked] = this.#waiting
    if (asked) this.#say(shownTo(asked))
  }
}

function shownTo({ data: { what, hash } }: Asked): string {
  const { question, draft } = what?.input ?? {}
  const lines = textIn(draft).split('\n')
  const more = lines.length - linesShown
  return [
    '',
    styleText('bold', `May this go out?  ${plain(textIn(question))}`),
    ...lines.slice(0, linesShown).map(line => `  ${plain(line)}`),
    ...(more > 0 ? [styleText('dim', `  … and ${more} lines more`)] : []),
    styleText('dim', `  hash ${plain(hash)}`),
    `${styleText('bold', 'y')}, or ${styleText('bold', 'n')} and why`,
    '',
  ].join('\n')
}

const textIn = (value: unknown) => (typeof value === 'string' ? value : '')
