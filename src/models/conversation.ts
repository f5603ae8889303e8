import type { LanguageModelV4FilePart, LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { copyOf } from '../json.ts'
import type { Bus } from '../bus/bus.ts'
import type { MessageRef, ModelDefinition, ModelRequest, PromptedData } from '../tasks/conversation.ts'
import { cacheEntry, EffectPolicies, replayId } from '../tasks/effects.ts'
import type { Fork } from '../tasks/fork.ts'
import { uiToolsIn } from '../tasks/ui-tools.ts'
import { readMessage, promptOf } from './messages.ts'

/** Maximum size of the cached messages, over all conversations, as JSON in UTF-16 units. */
const defaultMaxCachedChars = 64 * 1024 * 1024

interface CachedMessages {
  readonly messages: LanguageModelV4Message[]
  readonly chars: number
}

/**
 * Reads conversations from the log by their references. The messages of the last request are cached, so that the next one reads only new
 * messages. Without the cache, the chain is followed back as far as the window reaches.
 */
export class Conversations {
  readonly #bus: Bus
  readonly #cached = new Map<string, CachedMessages>()
  readonly #forkHistory: ForkHistory
  readonly #maxCachedChars: number
  #cachedChars = 0

  constructor(bus: Bus, maxCachedChars = defaultMaxCachedChars) {
    this.#bus = bus
    this.#maxCachedChars = maxCachedChars
    this.#forkHistory = new ForkHistory(bus, new EffectPolicies(bus))
  }

  /** The prompt of a `model.invoke` with these instructions: a copy, which the model may change. */
  async prompt(event: CloudEvent, instructions: string): Promise<LanguageModelV4Prompt> {
    const { window, instructions: ref } = event.data as ModelRequest
    const own = ref === undefined ? instructions : await this.#instructions(ref, event)
    const prompt = copyOf(promptOf(own, await this.#messages(event), window))
    return Promise.all(prompt.map(message => this.#withFiles(message, event.tenant)))
  }

  /** The prompt without the instructions of the definition and file contents, for comparing requests. */
  async question(event: CloudEvent): Promise<LanguageModelV4Prompt> {
    const { window, instructions } = event.data as ModelRequest
    const own = instructions === undefined ? '' : await this.#instructions(instructions, event)
    return promptOf(own, await this.#messages(event), window)
  }

  /** The tools of the user interface that asked, as a copy. */
  async uiTools(event: CloudEvent): Promise<ModelDefinition['tools']> {
    const { tools } = event.data as ModelRequest
    if (tools === undefined) return []
    const request = await this.#findEvent(tools, event)
    if (!request) throw missing(tools, 'the tools of the user interface')
    return copyOf(uiToolsIn(request)).map(({ name, description, input }) => ({ name, description, input }))
  }

  async #withFiles(message: LanguageModelV4Message, tenant: string): Promise<LanguageModelV4Message> {
    if (message.role === 'user' && message.content.some(isFile)) {
      const content = await Promise.all(
        message.content.map(async part => (await this.#withFile(part, tenant)) ?? purged),
      )
      return { ...message, content }
    }
    if (message.role === 'tool') return { ...message, content: await Promise.all(message.content.map(part => this.#withResultFiles(part, tenant))) } // biome-ignore format: one line
    if (message.role !== 'assistant' || !message.content.some(isFile)) return message
    const content = await Promise.all(message.content.map(part => this.#withFile(part, tenant)))
    return { ...message, content: content.filter(part => part !== undefined) }
  }

  /** The answer of a tool, with the bytes of its files. */
  async #withResultFiles<Part extends ToolAnswer>(part: Part, tenant: string): Promise<Part> {
    if (part.type !== 'tool-result' || part.output.type !== 'content' || !part.output.value.some(isFile)) return part
    const value = await Promise.all(part.output.value.map(async each => (await this.#withFile(each, tenant)) ?? purged))
    return { ...part, output: { ...part.output, value } }
  }

  /** The part with its bytes; undefined for a file whose blob was purged. */
  async #withFile<Part extends { type: string }>(part: Part, tenant: string): Promise<Part | undefined> {
    if (!isFile(part) || part.data.type !== 'reference') return part
    const { url, blob } = part.data.reference
    if (url) return { ...part, data: { type: 'url', url: new URL(url) } }
    const data = await this.#bus.findBlob(tenant, blob!)
    return data && { ...part, data: { type: 'data', data } }
  }

  /** The first message of the conversation, then the newest ones, about `window`, oldest first. */
  async #messages(asking: CloudEvent): Promise<readonly LanguageModelV4Message[]> {
    const request = asking.data as ModelRequest
    const steps: (readonly MessageRef[])[] = [request.messages]
    let count = request.messages.length
    let prev = request.prev
    let known: CachedMessages | undefined
    while (prev !== null) {
      known = this.#cached.get(cacheKey(asking, prev))
      if (known || count > request.window) break
      const earlier = (await this.#findEvent(prev, asking))?.data as ModelRequest | undefined
      if (!earlier) break
      steps.unshift(earlier.messages)
      count += earlier.messages.length
      prev = earlier.prev
    }
    const refs = [...(known || prev === null ? [] : [request.first]), ...steps.flat()]
    const read = await Promise.all(refs.map(ref => this.#message(ref, asking, request.messages.includes(ref))))
    const added = withoutGaps(read)
    const messages = [...(known?.messages ?? []), ...added]
    let chars = (known?.chars ?? 0) + charsOf(added)
    if (messages.length > 2 * request.window) chars -= charsOf(messages.splice(1, messages.length - request.window - 1))
    if (request.prev !== null) this.#forget(cacheKey(asking, request.prev))
    this.#remember(cacheKey(asking, asking.id), { messages, chars })
    return messages
  }

  #remember(key: string, cached: CachedMessages) {
    this.#forget(key)
    this.#cached.set(key, cached)
    this.#cachedChars += cached.chars
    while (this.#cachedChars > this.#maxCachedChars && this.#cached.size > 1)
      this.#forget(this.#cached.keys().next().value!)
  }

  #forget(key: string) {
    this.#cachedChars -= this.#cached.get(key)?.chars ?? 0
    this.#cached.delete(key)
  }

  /** Undefined if the log no longer has it. @throws E_MODEL_FAILED for a message that is new in this request */
  async #message(ref: MessageRef, asking: CloudEvent, isNew: boolean): Promise<LanguageModelV4Message | undefined> {
    const event = await this.#findEvent(ref.event, asking)
    if (event) return readMessage(ref, event)
    if (!isNew) return undefined
    throw missing(ref.event, 'a message of the conversation')
  }

  /** @throws E_MODEL_FAILED */
  async #instructions(ref: string, asking: CloudEvent): Promise<string> {
    const event = await this.#findEvent(ref, asking)
    if (!event) throw missing(ref, 'the instructions')
    return (event.data as PromptedData).instructions ?? ''
  }

  /** An event of another tenant is not found, whatever names it. */
  async #findEvent(id: string, { tenant, correlationid, replay }: CloudEvent): Promise<CloudEvent | undefined> {
    const event =
      (replay !== undefined && (await this.#forkHistory.find(replay, id))) || (await this.#bus.get(id, correlationid))
    return event && event.tenant === tenant ? this.#bus.resolve(event) : undefined
  }
}

type ToolAnswer = Extract<LanguageModelV4Message, { role: 'tool' }>['content'][number]

const cacheKey = ({ tenant }: CloudEvent, request: string) => `${tenant} ${request}`

const charsOf = (messages: readonly LanguageModelV4Message[]) =>
  messages.reduce((sum, message) => sum + JSON.stringify(message).length, 0)

const missing = (event: string, what: string) =>
  new TidingsError('E_MODEL_FAILED', `the event ${event}, ${what}, is no longer on the log`, {
    next: 'Raise `retention` in app(), so that events stay as long as conversations last.',
  })

/**
 * A conversation may be older than the events of its earlier tasks. It then begins with the first message of the user after the newest
 * message that is missing.
 */
function withoutGaps(messages: readonly (LanguageModelV4Message | undefined)[]): LanguageModelV4Message[] {
  const rest = messages.slice(messages.lastIndexOf(undefined) + 1) as LanguageModelV4Message[]
  return rest.length === messages.length ? rest : rest.slice(rest.findIndex(({ role }) => role === 'user'))
}

const isFile = <T extends { type: string }>(part: T): part is Extract<T, LanguageModelV4FilePart> =>
  part.type === 'file' || part.type === 'reasoning-file'

const purged = { type: 'text' as const, text: '(the file was removed)' }

// A history may be as large as the largest event.
const maxHistories = 16

/** The inputs and emitted events of forked tasks before the fork, by id. The log may no longer have them, or have other versions. */
class ForkHistory {
  readonly #bus: Bus
  readonly #replays: EffectPolicies
  readonly #histories = new Map<string, ReadonlyMap<string, CloudEvent>>()

  constructor(bus: Bus, replays: EffectPolicies) {
    this.#bus = bus
    this.#replays = replays
  }

  async find(replay: string, id: string): Promise<CloudEvent | undefined> {
    const history =
      this.#histories.get(replay) ?? cacheEntry(this.#histories, replay, await this.#read(replay), maxHistories)
    return history.get(id)
  }

  async #read(replay: string): Promise<ReadonlyMap<string, CloudEvent>> {
    const policy = await this.#replays.get(replay)
    const event = policy && 'task' in policy.of ? await this.#bus.get(replay, replayId(replay)) : undefined
    if (!event) return new Map()
    const { start, turns, inputs } = (await this.#bus.resolve(event)).data as Fork
    const seen = [start, ...turns.flatMap(({ turn, emitted }) => [...turn.inputs, ...emitted]), ...inputs]
    return new Map(seen.map(each => [each.id, each]))
  }
}
