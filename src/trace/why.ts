import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { parseId, resultId, turnId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { asRequested } from '../tasks/effects.ts'
import type { MessageRef, ModelDefinition, ModelRequest } from '../tasks/conversation.ts'
import { inputOf, type Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { eventsAt, withData } from './index/events.ts'
import type { Index } from './index/lookup.ts'
import { spentBy } from './outcome.ts'
import { publisherOf, type Publisher } from './publisher.ts'
import type { Spent } from './tree.ts'

/*
 * Why an event is on the log: the event that caused it, what caused that, and so on to the outside world. A turn knows the
 * inputs that it decided on, also those that are nowhere else on the log, such as a timer that fired.
 *
 * A task that waits for several answers takes them in turns that only wait, until the last one has come. So what a turn
 * emitted was caused by its inputs, and by those of the turns before it up to the last one that did something else than wait.
 *
 *     order.sent ◀─┬─ tool.result ◀─ tool.invoke ◀─ order.placed      the event's own cause, back to the beginning
 *                  └─ tool.result ◀─ tool.invoke ◀─ (shown above)     the others, until they meet what is shown already
 */

export interface Reason {
  readonly event: CloudEvent
  readonly by: Author
  /** On a request to a model. */
  readonly asked?: Asked
  /** Of what a task emitted after several inputs: what caused it beside the next reason. */
  readonly also?: Why[]
  /** Causes that are left out. */
  readonly more?: number
}

/** Who published an event; what a task emitted, with the turn in which it did. */
export interface Author {
  readonly kind: Publisher
  readonly name: string
  readonly task?: string
  readonly turn?: number
  readonly version?: number
  /** Digest of the program that decided. */
  readonly hash?: string
  /** The task that it goes on from, which had failed. */
  readonly retryOf?: string
}

/** What a model was asked, and what its answer took. */
export interface Asked {
  readonly model: string
  readonly instructions?: string
  /** Messages that were new with this request, oldest first. */
  readonly messages: { readonly role: MessageRef['role']; readonly event: string; readonly content: unknown }[]
  readonly spent?: Spent
}

export interface Why {
  /** From an event back to where it began, or to `rest`. */
  readonly reasons: Reason[]
  /** The cause of the last reason. */
  readonly rest?: Rest
}

export interface Rest {
  readonly id: string
  /** `lost`: it is not on the log (any more). `circle`: it is among these reasons. `shown`: elsewhere in the tree. `cut`: too many. */
  readonly is: 'lost' | 'circle' | 'shown' | 'cut'
}

/** What a task emits that waits: timers, and that it waits no more. */
const isOfWaiting = /^(timer\.set|call\.cancelled|agent\.cancel)$/
/** Of one event; those that are left out are counted. */
const maxCauses = 20
/** Looked at before the one that emitted it. */
const maxTurns = 1_000
/** Beside the event's own chain of causes. */
const maxReasons = 200

/** @throws E_NOT_FOUND */
export async function whyOf(bus: Bus, index: Index, position: Position): Promise<Why> {
  const events = new Events(bus, index)
  const event = await events.at(position)
  if (!event) throw new TidingsError('E_NOT_FOUND', 'the event is not on the log any more')
  return new Tree(bus, events).grow(event)
}

type Link = Reason & { readonly turn: CloudEvent<Turn> | undefined }

/** Shows each event once. */
class Tree {
  readonly #bus: Bus
  readonly #events: Events
  readonly #seen = new Set<string>()
  #left = maxReasons

  constructor(bus: Bus, events: Events) {
    this.#bus = bus
    this.#events = events
  }

  /** The chain of causes first, then what else caused each of its events. */
  async grow(event: CloudEvent, isBranch = false): Promise<Why> {
    const { chain, rest } = await this.#chain(event, isBranch)
    // What leads to an event by its own chain is a cause of it already.
    const known = new Set([...chain.map(link => link.event.id), ...(rest ? [rest.id] : [])])
    const reasons: Reason[] = []
    for (const { turn, ...reason } of chain) reasons.push({ ...reason, ...(turn && (await this.#others(turn, known))) })
    return { reasons, ...(rest && { rest }) }
  }

  async #chain(first: CloudEvent, isBranch: boolean): Promise<{ chain: Link[]; rest?: Rest }> {
    const chain: Link[] = []
    let event = first
    for (;;) {
      this.#seen.add(event.id)
      const turn = await this.#events.turnBehind(event)
      const asked = event.type === 'model.invoke' ? await askedIn(event, this.#bus, this.#events) : undefined
      chain.push({ event, by: authorOf(event, turn), ...(asked && { asked }), turn })
      const cause = event.causationid
      if (cause === undefined) return { chain }
      if (this.#seen.has(cause))
        return { chain, rest: { id: cause, is: chain.some(link => link.event.id === cause) ? 'circle' : 'shown' } }
      if (isBranch && --this.#left <= 0) return { chain, rest: { id: cause, is: 'cut' } }
      const next = await this.#events.inputOrEvent(cause, turn)
      if (!next) return { chain, rest: { id: cause, is: 'lost' } }
      event = next
    }
  }

  async #others(turn: CloudEvent<Turn>, known: ReadonlySet<string>): Promise<Pick<Reason, 'also' | 'more'>> {
    const inputs = (await this.#events.inputsBefore(turn)).filter(({ id }) => !known.has(id))
    const also: Why[] = []
    for (const input of inputs.slice(0, maxCauses)) {
      if (this.#left <= 0) break
      const why: Why = this.#seen.has(input.id)
        ? { reasons: [], rest: { id: input.id, is: 'shown' } }
        : await this.grow(await this.#events.resolved(input), true)
      also.push(why)
    }
    const more = inputs.length - also.length
    return { ...(also.length > 0 && { also }), ...(more > 0 && { more }) }
  }
}

class Events {
  readonly #bus: Bus
  readonly #index: Index

  constructor(bus: Bus, index: Index) {
    this.#bus = bus
    this.#index = index
  }

  async at(position: Position): Promise<CloudEvent | undefined> {
    const [stored] = await withData(this.#bus, await eventsAt(this.#bus, [position]))
    return stored?.event
  }

  async byId(id: string): Promise<CloudEvent | undefined> {
    const position = this.#index.positionOf(id)
    return position === undefined ? undefined : this.at(position)
  }

  /** The turn that an event is, or that emitted it. */
  async turnBehind(event: CloudEvent): Promise<CloudEvent<Turn> | undefined> {
    const id = parseId(event.id)
    if (!id || id.suffix !== undefined) return undefined
    const turn = id.ordinal === undefined ? event : await this.byId(turnId(id.task, id.version))
    return turn?.type === turnType && Array.isArray((turn.data as Turn | null)?.inputs)
      ? (turn as CloudEvent<Turn>)
      : undefined
  }

  async inputOrEvent(id: string, turn: CloudEvent<Turn> | undefined): Promise<CloudEvent | undefined> {
    const input = turn?.data.inputs.find(each => each.id === id)
    return input ? this.resolved(input) : this.byId(id)
  }

  resolved(input: CloudEvent): Promise<CloudEvent> {
    return this.#bus.resolve(input).catch(() => input)
  }

  /** What a turn decided on: its inputs, and before them those of the turns that only waited for more. The oldest first. */
  async inputsBefore(turn: CloudEvent<Turn>): Promise<CloudEvent[]> {
    const inputs = [...turn.data.inputs]
    const { task, version } = parseId(turn.id)!
    for (let before = version - 1; before > Math.max(0, version - maxTurns); before--) {
      const earlier = await this.byId(turnId(task, before))
      const waiting = earlier && (await this.turnBehind(earlier))
      if (!waiting?.data.emits.every(({ type }) => isOfWaiting.test(type))) break
      inputs.unshift(...waiting.data.inputs)
    }
    return inputs
  }
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

async function askedIn(event: CloudEvent, bus: Bus, events: Events): Promise<Asked> {
  const { definition, messages } = (event.data ?? {}) as Partial<ModelRequest>
  const document = typeof definition === 'string' ? await bus.documents.read<ModelDefinition>(definition) : undefined
  const refs = Array.isArray(messages) ? (messages as MessageRef[]) : []
  const said = await Promise.all(refs.map(ref => events.byId(ref.event)))
  const answer = await events.byId(resultId(event.id))
  return {
    model: asRequested(event).target ?? '?',
    ...(document && { instructions: document.instructions }),
    messages: refs.map(({ role, event }, i) => ({ role, event, content: said[i] && contentOf(role, said[i]) })),
    ...(answer && { spent: spentBy([answer]) }),
  }
}

/** What an event says as a message of this role, as `docs/wire-format.md` has it. */
function contentOf(role: MessageRef['role'], event: CloudEvent): unknown {
  const data = (event.data ?? {}) as Record<string, unknown>
  if (role === 'assistant') return data.text || data.toolCalls
  if (role === 'tool') return data.error ?? data.output
  return event.type === 'agent.noted' ? data.text : event.type === 'agent.invoke' ? data.input : inputOf(event)
}
