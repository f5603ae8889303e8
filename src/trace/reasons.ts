import { parseId, resultId, turnId } from '../bus/ids.ts'
import { isTapped } from '../bus/tapped.ts'
import type { CloudEvent } from '../event.ts'
import { asCalled } from '../tasks/effects.ts'
import {
  userContent,
  type MessageRef,
  type ModelDefinition,
  type ModelRequest,
  type PromptedData,
} from '../tasks/conversation.ts'
import type { ModelSettings } from '../tasks/model-settings.ts'
import type { Turn } from '../tasks/program.ts'
import type { TappedMessage, TappedModelRequest } from '../tasks/tapped-model.ts'
import { usageOf } from './outcome.ts'
import { publisherOf, type PublisherKind } from './publisher.ts'
import { turnIn, type TraceUsage } from './tree.ts'

/*
 * Explains an event by the chain of its causes, back to the event from outside. A turn contains its inputs, including those that are
 * nowhere else on the log, such as a fired timer.
 *
 * A task that waits for several answers takes them in turns that only wait. So the events of a turn were caused by its inputs and by those
 * of the preceding turns that only waited.
 *
 *     order.sent ◀─┬─ tool.result ◀─ tool.invoke ◀─ order.placed      the chain of causes, back to the first event
 *                  └─ tool.result ◀─ tool.invoke ◀─ (shown above)     other inputs, until an event that is already shown
 */

export interface CauseLink {
  readonly event: CloudEvent
  readonly by: Author
  /** On a request to a model. */
  readonly asked?: ModelQuestion
  /** Other causes of an event that a task emitted after several inputs. */
  readonly also?: Why[]
  /** Number of causes that are left out. */
  readonly more?: number
}

/** The publisher of an event, with the turn if a task emitted it. */
export interface Author {
  readonly kind: PublisherKind
  readonly name: string
  readonly task?: string
  readonly turn?: number
  readonly version?: number
  /** Digest of the program that decided. */
  readonly hash?: string
  /** The failed task that it retries. */
  readonly retryOf?: string
}

/** `event`: what holds it; absent in a request of a tap, which holds its messages itself. */
interface AskedMessage {
  readonly role: MessageRef['role']
  readonly event?: string
  readonly content: unknown
}

/** What a model was asked, and the usage of its answer. */
export interface ModelQuestion {
  readonly model: string
  readonly instructions?: string
  /** Such as `temperature`. */
  readonly settings?: ModelSettings
  /** Messages that are new in this request, oldest first. */
  readonly messages: readonly AskedMessage[]
  readonly spent?: TraceUsage
}

export interface Why {
  /** From the event back to its first cause, or to `rest`. */
  readonly reasons: CauseLink[]
  /** The cause of the last reason, if the chain stops there. */
  readonly rest?: ChainEnd
}

export interface ChainEnd {
  readonly id: string
  /** `lost`: not on the log. `circle`: among these reasons. `shown`: elsewhere in the tree. `cut`: the limit was reached. */
  readonly is: 'lost' | 'circle' | 'shown' | 'cut'
}

/** Types that a task emits while it only waits. */
const waitingTypes = /^(timer\.set|call\.cancelled|agent\.cancel)$/
const maxCauses = 20
const maxTurns = 1_000
/** Maximum number of reasons beside the event's own chain. */
const maxReasons = 200

/** Where causes are read: a log with its index, or a slice of one. */
export interface ReasonSource {
  /** Undefined if the source does not have it, or the reader may not see it. With its data. */
  byId(id: string): Promise<CloudEvent | undefined>
  /** Whether the reader may see an event that is inside a turn. */
  isVisible(event: CloudEvent): boolean
  /** The event with its data, as far as that exists. */
  resolved(event: CloudEvent): Promise<CloudEvent>
  document<Document>(key: string): Promise<Document | undefined>
}

/** Follows the causes of an event. */
export function reasonsFor(event: CloudEvent, source: ReasonSource): Promise<Why> {
  return new ReasonTree(source).grow(event)
}

type ChainLink = CauseLink & { readonly turn: CloudEvent<Turn> | undefined }

/** Builds the tree of reasons. Shows each event once. */
class ReasonTree {
  readonly #source: ReasonSource
  readonly #seen = new Set<string>()
  #left = maxReasons

  constructor(source: ReasonSource) {
    this.#source = source
  }

  /** Follows the chain of causes, then adds the other causes of each of its events. */
  async grow(event: CloudEvent, isBranch = false): Promise<Why> {
    const { chain, rest } = await this.#chain(event, isBranch)
    // Events of the chain itself are not repeated as other causes.
    const known = new Set([...chain.map(link => link.event.id), ...(rest ? [rest.id] : [])])
    const reasons: CauseLink[] = []
    for (const { turn, ...reason } of chain) reasons.push({ ...reason, ...(turn && (await this.#others(turn, known))) })
    return { reasons, ...(rest && { rest }) }
  }

  async #chain(first: CloudEvent, isBranch: boolean): Promise<{ chain: ChainLink[]; rest?: ChainEnd }> {
    const chain: ChainLink[] = []
    let event = first
    for (;;) {
      this.#seen.add(event.id)
      const turn = await turnBehind(this.#source, event)
      const asked = event.type === 'model.invoke' ? await modelQuestion(event, this.#source) : undefined
      chain.push({ event, by: authorOf(event, turn), ...(asked && { asked }), turn })
      const cause = event.causationid
      if (cause === undefined) return { chain }
      if (this.#seen.has(cause))
        return { chain, rest: { id: cause, is: chain.some(link => link.event.id === cause) ? 'circle' : 'shown' } }
      if (isBranch && --this.#left <= 0) return { chain, rest: { id: cause, is: 'cut' } }
      const next = await inputOrEvent(this.#source, cause, turn)
      if (!next) return { chain, rest: { id: cause, is: 'lost' } }
      event = next
    }
  }

  async #others(turn: CloudEvent<Turn>, known: ReadonlySet<string>): Promise<Pick<CauseLink, 'also' | 'more'>> {
    const inputs = (await inputsBefore(this.#source, turn)).filter(({ id }) => !known.has(id))
    const also: Why[] = []
    for (const input of inputs.slice(0, maxCauses)) {
      if (this.#left <= 0) break
      const why: Why = this.#seen.has(input.id)
        ? { reasons: [], rest: { id: input.id, is: 'shown' } }
        : await this.grow(await this.#source.resolved(input), true)
      also.push(why)
    }
    const more = inputs.length - also.length
    return { ...(also.length > 0 && { also }), ...(more > 0 && { more }) }
  }
}

async function turnBehind(source: ReasonSource, event: CloudEvent): Promise<CloudEvent<Turn> | undefined> {
  const id = parseId(event.id)
  if (!id || id.suffix !== undefined) return undefined
  const turn = id.ordinal === undefined ? event : await source.byId(turnId(id.task, id.version))
  return turn && turnIn(turn) && (turn as CloudEvent<Turn>)
}

async function inputOrEvent(source: ReasonSource, id: string, turn: CloudEvent<Turn> | undefined) {
  const input = turn?.data.inputs.find(each => each.id === id)
  if (!input) return source.byId(id)
  return source.isVisible(input) ? source.resolved(input) : undefined
}

/** The inputs of a turn and of the preceding turns that only waited, oldest first. */
async function inputsBefore(source: ReasonSource, turn: CloudEvent<Turn>): Promise<CloudEvent[]> {
  const inputs = [...turn.data.inputs]
  const { task, version } = parseId(turn.id)!
  for (let before = version - 1; before > Math.max(0, version - maxTurns); before--) {
    const earlier = await source.byId(turnId(task, before))
    const waiting = earlier && (await turnBehind(source, earlier))
    if (!waiting?.data.emits.every(({ type }) => waitingTypes.test(type))) break
    inputs.unshift(...waiting.data.inputs)
  }
  return inputs.filter(input => source.isVisible(input))
}

function authorOf({ id, source }: CloudEvent, turn: CloudEvent<Turn> | undefined): Author {
  const author = publisherOf(source)
  const made = parseId(id)
  if (!made || made.suffix !== undefined) return author
  const { program, programVersion, programHash, retryOf } = turn?.data ?? {}
  return {
    kind: author.kind === 'workflow' ? author.kind : 'agent',
    name: program ?? author.name,
    task: made.task,
    turn: made.version,
    ...(programVersion !== undefined && { version: programVersion }),
    ...(programHash !== undefined && { hash: programHash }),
    ...(retryOf !== undefined && { retryOf }),
  }
}

async function modelQuestion(event: CloudEvent, source: ReasonSource): Promise<ModelQuestion> {
  if (isTapped(event)) return tappedQuestion(event, await source.byId(resultId(event.id)))
  const { definition, messages, instructions: ref } = (event.data ?? {}) as Partial<ModelRequest>
  const document = typeof definition === 'string' ? await source.document<ModelDefinition>(definition) : undefined
  const refs = Array.isArray(messages) ? (messages as MessageRef[]) : []
  const sources = await Promise.all(refs.map(ref => source.byId(ref.event)))
  const answer = await source.byId(resultId(event.id))
  const prompted = ref === undefined ? undefined : ((await source.byId(ref))?.data as PromptedData | undefined)
  const instructions = prompted?.instructions ?? document?.instructions
  return {
    model: asCalled(event).target ?? '?',
    ...(instructions !== undefined && { instructions }),
    ...(document?.settings && { settings: document.settings }),
    messages: refs.map(({ role, event }, i) => ({ role, event, content: sources[i] && contentOf(role, sources[i]) })),
    ...(answer && { spent: usageOf([answer]) }),
  }
}

function tappedQuestion(event: CloudEvent, answer: CloudEvent | undefined): ModelQuestion {
  const { prompt, instructions, settings } = (event.data ?? {}) as Partial<TappedModelRequest>
  const messages = Array.isArray(prompt) ? (prompt as readonly TappedMessage[]) : []
  return {
    model: asCalled(event).target ?? '?',
    ...(instructions !== undefined && { instructions }),
    ...(settings && { settings: settings }),
    messages: messages.map(({ role, text, toolCalls, results, files }) => ({
      role,
      content: text ?? toolCalls ?? results?.map(({ output }) => output) ?? files,
    })),
    ...(answer && { spent: usageOf([answer]) }),
  }
}

/** The content of an event as a message of this role; see `docs/wire-format.md`. */
function contentOf(role: MessageRef['role'], event: CloudEvent): unknown {
  const data = (event.data ?? {}) as Record<string, unknown>
  if (role === 'assistant') return data.text || data.toolCalls
  if (role === 'tool') return data.error ?? data.output ?? data.reason
  return userContent(event)
}
