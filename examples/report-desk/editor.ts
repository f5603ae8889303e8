import { userInfo } from 'node:os'
import { styleText } from 'node:util'
import {
  answerApproval,
  type CloudEvent,
  type OpenApproval,
  PendingApprovals,
  type RunningApp,
  TidingsError,
} from '../../src/index.ts'
import { plain } from './terminal.ts'

type Bus = RunningApp['bus']

const approvals = ['approval.requested', 'approval.granted', 'approval.denied']
const linesShown = 12

/** The identity of the person at this computer. */
export const me = () => `desk/${userInfo().username}`

/** Answers the request with this id and hash. */
export const answer = (bus: Bus, id: string, hash: string, decision: 'grant' | 'deny', comment?: string) =>
  answerApproval(bus, {
    id,
    decision,
    hash,
    by: me(),
    ...(comment !== undefined && { comment }),
    source: '/report-desk',
  })

/** Shows one draft after the other on this terminal, and asks for approval. */
export class Editor {
  readonly #bus: Bus
  readonly #say: (text: string) => void
  readonly #pending = new PendingApprovals()
  /** The request on the screen. */
  #shown: OpenApproval | undefined

  constructor(bus: Bus, say: (text: string) => void) {
    this.#bus = bus
    this.#say = say
  }

  /** Requests up to this cursor were made while nobody was at the terminal. */
  async recall(until: string): Promise<void> {
    for await (const { event } of this.#bus.read({ until, filter: [{ types: approvals }] })) this.#pending.add(event)
    await this.#show()
  }

  async hear(event: CloudEvent): Promise<void> {
    if (!approvals.includes(event.type)) return
    this.#pending.add(event)
    await this.#show()
  }

  /** Handles a line that answers the request on the screen; false for any other line. */
  async takes(line: string): Promise<boolean> {
    const [said, no, why] = /^\s*(?:y|(n)(?:\s+(.*\S))?)\s*$/i.exec(line) ?? []
    if (said === undefined) return false
    if (this.#shown) await this.#answer(this.#shown, no === undefined ? 'grant' : 'deny', why)
    else this.#say('nothing waits for your approval')
    return true
  }

  async #answer({ id, hash }: OpenApproval, decision: 'grant' | 'deny', comment: string | undefined) {
    try {
      this.#pending.add(await answer(this.#bus, id, hash, decision, comment))
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error
      this.#say(styleText('yellow', error.message))
    }
    await this.#show()
  }

  /** Shows the next draft when the one on the screen is answered. */
  async #show() {
    const open = (await this.#pending.open(this.#bus)).filter(({ name }) => name === 'editor')
    if (open.some(({ id }) => id === this.#shown?.id)) return
    this.#shown = open[0]
    if (this.#shown) this.#say(shownTo(this.#shown))
  }
}

/** Any writer of the log may have published it, so it is validated. */
function shownTo({ what, hash }: OpenApproval): string {
  const { question, draft } = ((what as { input?: unknown } | null)?.input ?? {}) as Record<string, unknown>
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
