import type { StreamPart } from '../../ask/parts.ts'
import { mcpCallerName } from '../../tasks/offered-input.ts'

/** `notifications/progress`, without its token. Source: MCP 2025-11-25, basic/utilities/progress. */
export interface ProgressReport {
  readonly progress: number
  readonly total?: number
  readonly message?: string
}

const textIntervalMs = 500
const maxMessageChars = 500

/**
 * What a client that waits for a task is told: the progress of tools, what is called, and the text of models. The number always grows,
 * as MCP demands. A tool that reports `{ progress, total }` sets it.
 */
export class ProgressReports {
  readonly #send: (report: ProgressReport) => void
  #progress = -1
  #text = ''
  #textOf = ''
  #textAt = -Infinity

  constructor(send: (report: ProgressReport) => void) {
    this.#send = send
  }

  readonly add = (part: StreamPart): void => {
    if (part.type === 'progress') this.#report(part.data)
    else if (part.type === 'text') this.#addText(part.call, part.text)
    else if (part.type === 'restart') this.#text = ''
    // The call of a published tool is what the client asked for.
    else if (part.type === 'call' && part.agent !== mcpCallerName(part.name)) this.#say(`${part.name} is called`)
    else if (part.type === 'approval') this.#say(`${part.name} must be approved`)
  }

  #report(data: unknown) {
    const { progress, total, message } = (typeof data === 'object' && data !== null ? data : {}) as Record<
      string,
      unknown
    >
    const text = typeof message === 'string' ? message : undefined
    if (typeof progress !== 'number' || !(progress > this.#progress))
      return this.#say(text ?? (typeof data === 'string' ? data : JSON.stringify(data)))
    this.#progress = progress
    this.#send({ progress, ...(typeof total === 'number' && { total }), ...(text !== undefined && { message: text }) })
  }

  /** Models write in small pieces: at most two messages a second, each with the end of what was written so far. */
  #addText(call: string, text: string) {
    this.#text = (call === this.#textOf ? this.#text : '') + text
    this.#textOf = call
    const now = performance.now()
    if (now - this.#textAt < textIntervalMs) return
    this.#textAt = now
    this.#say(this.#text)
  }

  #say(message: string) {
    this.#progress = Math.floor(this.#progress) + 1
    this.#send({ progress: this.#progress, message: message.slice(-maxMessageChars) })
  }
}
