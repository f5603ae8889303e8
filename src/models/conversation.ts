import type { LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import type { MessageRef, ModelRequest } from '../tasks/conversation.ts'
import { Replays } from '../tasks/effects.ts'
import { Past } from '../tasks/past.ts'
import { messageOf, promptOf } from './messages.ts'

/** Most messages kept in memory, over all conversations. */
const remembered = 20_000

/**
 * Reads conversations from the log by their references. The last request of each is remembered, so that the next one
 * reads only what is new; a cold one walks the chain back as far as its window reaches.
 */
export class Conversations {
  readonly #bus: Bus
  readonly #known = new Map<string, LanguageModelV4Message[]>()
  readonly #past: Past
  #held = 0

  constructor(bus: Bus) {
    this.#bus = bus
    this.#past = new Past(bus, new Replays(bus))
  }

  /** What a `model.invoke` gives its model to read under these instructions. */
  async prompt(event: CloudEvent, instructions: string): Promise<LanguageModelV4Prompt> {
    return promptOf(instructions, await this.#messages(event), (event.data as ModelRequest).window)
  }

  /** The same for whoever asks the same: answers of tools that were called together may have come in any order. */
  async question(event: CloudEvent): Promise<LanguageModelV4Prompt> {
    const prompt = await this.prompt(event, '')
    return prompt.map(message =>
      message.role === 'tool' ? { ...message, content: message.content.toSorted(byCall) } : message,
    )
  }

  /** The messages of a request, oldest first; the first one of the conversation, then at most about `window`. */
  async #messages(asking: CloudEvent): Promise<readonly LanguageModelV4Message[]> {
    const request = asking.data as ModelRequest
    const steps: (readonly MessageRef[])[] = [request.messages]
    let count = request.messages.length
    let prev = request.prev
    let known: LanguageModelV4Message[] | undefined
    while (prev !== null) {
      known = this.#known.get(prev)
      if (known || count > request.window) break
      const earlier = (await this.#event(prev, asking)).data as ModelRequest
      steps.unshift(earlier.messages)
      count += earlier.messages.length
      prev = earlier.prev
    }
    const read = await Promise.all(steps.flat().map(async ref => messageOf(ref, await this.#event(ref.event, asking))))
    const start =
      known ?? (prev === null ? [] : [messageOf(request.first, await this.#event(request.first.event, asking))])
    const messages = [...start, ...read]
    if (messages.length > 2 * request.window) messages.splice(1, messages.length - request.window - 1)
    if (request.prev !== null) this.#forget(request.prev)
    this.#remember(asking.id, messages)
    return messages
  }

  #remember(id: string, messages: LanguageModelV4Message[]) {
    this.#forget(id)
    this.#known.set(id, messages)
    this.#held += messages.length
    while (this.#held > remembered && this.#known.size > 1) this.#forget(this.#known.keys().next().value!)
  }

  #forget(id: string) {
    this.#held -= this.#known.get(id)?.length ?? 0
    this.#known.delete(id)
  }

  async #event(id: string, { correlationid, replay }: CloudEvent): Promise<CloudEvent> {
    const event =
      (replay !== undefined && (await this.#past.find(replay, id))) || (await this.#bus.get(id, correlationid))
    if (!event) throw new TidingsError('E_MODEL_FAILED', `message ${id} of the conversation is no longer on the log`)
    return this.#bus.resolve(event)
  }
}

function byCall(a: ToolPart, b: ToolPart): number {
  const [one, other] = [a, b].map(part => (part.type === 'tool-result' ? part.toolCallId : ''))
  return one! < other! ? -1 : 1
}

type ToolPart = Extract<LanguageModelV4Message, { role: 'tool' }>['content'][number]
