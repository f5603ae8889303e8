import { hash } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { correlationFrom } from '../../bus/ids.ts'
import { canonicalJson } from '../../tasks/canonical.ts'
import type { ModelToolCall } from '../../tasks/conversation.ts'
import type { TappedMessage } from '../../tasks/tapped-model.ts'
import { textOfOutput } from './messages.ts'
import type { AskedModel, CollectedAnswer } from './model-api.ts'

/*
 * Programs send the whole conversation with each request. A request that begins with the messages of an earlier one and its answer continues
 * that: it gets the same correlation, and the answer as its cause. A request with the messages of one that failed repeats that. What is
 * compared is a digest of texts, calls and results, because programs change the form of a message when they send it back.
 *
 *     user a ─ assistant b ─ user c        the digest of a and b is a key, which leads to the call that answered b
 */

/** The recorded call that a request continues or repeats. */
export interface ContinuedCall {
  readonly correlationid: string
  /** Id of its `model.invoke`. */
  readonly call: string
  /** How many messages of the request are its own and its answer; undefined if the request repeats it. */
  readonly covered: number | undefined
}

/** For whom a request is made: conversations of others are never continued. */
export interface ChainOwner {
  readonly tenant: string
  readonly user?: string | undefined
}

const continuedTtlMs = 24 * 3_600_000
const repeatedTtlMs = 2 * 60_000
/** A program may change or drop its last answers, so some earlier ones are looked up too. */
const maxLookups = 3
const maxKeys = 10_000
/** Conversations that look the same so far. */
const maxLinks = 8

interface Link {
  readonly correlationid: string
  readonly call: string
  /** Digest of its instructions, which tells conversations apart that begin with the same words. */
  readonly instructions: string
}

export interface FinishedCall extends Pick<Link, 'correlationid' | 'call'> {
  readonly asked: AskedModel
  readonly owner: ChainOwner
  /** Undefined if there is nothing that a program could send back. */
  readonly answer: CollectedAnswer | undefined
  readonly hasFailed: boolean
}

/** Finds the call that a request continues. Keys are documents too, so that they survive a restart, and other processes find them. */
export class ConversationChain {
  /** The keys of this process, the oldest first. The next request finds a link here before its document is written. */
  readonly #known = new Map<string, readonly Link[]>()

  /** Without `bus`, only what this process knows. */
  async find(bus: Bus | undefined, asked: AskedModel, owner: ChainOwner): Promise<ContinuedCall | undefined> {
    const own = instructionsOf(asked)
    const keys = [
      ...(asked.continues === undefined ? [] : [{ key: responseKey(asked.continues, owner), covered: 0 }]),
      { key: failedKey(asked, owner), covered: undefined },
      ...prefixKeys(asked.messages, owner).slice(0, maxLookups),
    ]
    const links = await Promise.all(keys.map(({ key }) => this.#link(bus, key, own)))
    const found = links.findIndex(link => link !== undefined)
    const { correlationid, call } = links[found] ?? {}
    return correlationid && call ? { correlationid, call, covered: keys[found]!.covered } : undefined
  }

  /** The correlation of a conversation that the provider keeps. */
  correlationOf({ conversation }: AskedModel, { tenant }: ChainOwner): string | undefined {
    return conversation === undefined ? undefined : correlationFrom(`${tenant}\0tap\0${conversation}`)
  }

  /**
   * Remembers at once what may follow a call: a request that continues its answer, or one that repeats it, because it failed. The returned work
   * stores that for other processes.
   */
  remember({ asked, owner, answer, hasFailed, ...of }: FinishedCall): (bus: Bus) => Promise<void> {
    const link: Link = { ...of, instructions: instructionsOf(asked) }
    const keys = [
      ...(hasFailed ? [{ key: failedKey(asked, owner), ttlMs: repeatedTtlMs }] : []),
      ...(answer ? answerKeys(asked, answer, owner).map(key => ({ key, ttlMs: continuedTtlMs })) : []),
    ]
    if (!hasFailed) this.#known.delete(failedKey(asked, owner))
    for (const { key } of keys) this.#keep(key, withLink(this.#known.get(key), link))
    return async bus => {
      for (const { key, ttlMs } of keys) {
        const add = (links: readonly Link[] | undefined) => withLink(links, link)
        await bus.documents.update<readonly Link[]>(documentKey(key), add, { namesOnly: true, ttlMs })
      }
    }
  }

  async #link(bus: Bus | undefined, key: string, instructions: string): Promise<Link | undefined> {
    const isOwn = (link: Link) => link.instructions === instructions
    const known = this.#known.get(key)
    const found = known?.find(isOwn)
    if (found || !bus) return found ?? known?.[0]
    const stored = (await bus.documents.read<readonly Link[]>(documentKey(key))) ?? known
    return stored?.find(isOwn) ?? stored?.[0]
  }

  #keep(key: string, links: readonly Link[]): void {
    this.#known.delete(key)
    this.#known.set(key, links)
    if (this.#known.size > maxKeys) this.#known.delete(this.#known.keys().next().value!)
  }
}

/** The newest one is the first. */
const withLink = (links: readonly Link[] = [], link: Link) =>
  [link, ...links.filter(each => each.instructions !== link.instructions)].slice(0, maxLinks)

const documentKey = (key: string) => `tap-chain/${key}`
const instructionsOf = ({ instructions = '' }: AskedModel) => hash('sha256', instructions).slice(0, 16)
const responseKey = (id: string, { tenant }: ChainOwner) => hash('sha256', `${tenant}\0response\0${id}`)
const failedKey = ({ messages, continues = '' }: AskedModel, owner: ChainOwner) =>
  hash('sha256', `failed\0${continues}\0${digestOf(messages, owner)}`)

function answerKeys(asked: AskedModel, { text, toolCalls, response }: CollectedAnswer, owner: ChainOwner): string[] {
  const whole = digestOf([...asked.messages, { role: 'assistant', text, toolCalls }], owner)
  return [whole, ...(asked.isKept && response?.id !== undefined ? [responseKey(response.id, owner)] : [])]
}

/** A key for each answer in the messages, the last one first. The last message is not answered yet. */
function prefixKeys(messages: readonly TappedMessage[], owner: ChainOwner) {
  const keys: { readonly key: string; readonly covered: number }[] = []
  let digest = seedOf(owner)
  for (const [i, message] of messages.entries()) {
    digest = extended(digest, message)
    if (message.role === 'assistant' && i < messages.length - 1) keys.unshift({ key: digest, covered: i + 1 })
  }
  return keys
}

const digestOf = (messages: readonly TappedMessage[], owner: ChainOwner) => messages.reduce(extended, seedOf(owner))

const seedOf = ({ tenant, user = '' }: ChainOwner) => hash('sha256', `${tenant}\0${user}`)

function extended(
  digest: string,
  { role, text = '', toolCalls = [], results = [], files = [] }: TappedMessage,
): string {
  const content = [
    role,
    text.trim(),
    toolCalls.map(identityOf),
    results.map(({ toolCallId, output }) => [toolCallId, textOfOutput(output)]),
    files.map(({ url, sha256 }) => sha256 ?? url),
  ]
  return hash('sha256', `${digest}${JSON.stringify(content)}`)
}

/** Programs parse and print the input of a call again, but return its id. */
const identityOf = ({ toolCallId, toolName, input }: ModelToolCall) =>
  toolCallId.startsWith('call ') ? [toolName, canonicalJson(input)] : [toolCallId, toolName]
