import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { parseId, resultId, turnId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { asAsked } from '../tasks/effects.ts'
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
 */

export interface Reason {
  readonly event: CloudEvent
  readonly by: Author
  /** On a request to a model. */
  readonly asked?: Asked
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
  /** From the event that was asked for back to where it began. */
  readonly reasons: Reason[]
  /** Id of a cause that is not on the log (any more), or that is among the reasons already. */
  readonly lost?: string
}

/** @throws E_NOT_FOUND */
export async function whyOf(bus: Bus, index: Index, position: Position): Promise<Why> {
  const events = new Events(bus, index)
  const seen = new Set<string>()
  const reasons: Reason[] = []
  let event = await events.at(position)
  if (!event) throw new TidingsError('E_NOT_FOUND', 'the event is not on the log any more')
  for (;;) {
    seen.add(event.id)
    const turn = await events.turnBehind(event)
    const asked: Asked | undefined = event.type === 'model.invoke' ? await askedIn(event, bus, events) : undefined
    reasons.push({ event, by: authorOf(event, turn), ...(asked && { asked }) })
    const cause: string | undefined = event.causationid
    if (cause === undefined) return { reasons }
    const next: CloudEvent | undefined = seen.has(cause) ? undefined : await events.inputOrEvent(cause, turn)
    if (!next) return { reasons, lost: cause }
    event = next
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
    return input ? this.#bus.resolve(input).catch(() => input) : this.byId(id)
  }
}

function authorOf({ id, source }: CloudEvent, turn: CloudEvent<Turn> | undefined): Author {
  const author = publisherOf(source)
  const made = parseId(id)
  if (!made || made.suffix !== undefined) return author
  const { program, programVersion, programHash } = turn?.data ?? {}
  return {
    kind: author.kind === 'workflow' ? author.kind : 'agent',
    name: program ?? author.name,
    task: made.task,
    turn: made.version,
    ...(programVersion !== undefined && { version: programVersion }),
    ...(programHash !== undefined && { hash: programHash }),
  }
}

async function askedIn(event: CloudEvent, bus: Bus, events: Events): Promise<Asked> {
  const { definition, messages } = (event.data ?? {}) as Partial<ModelRequest>
  const document = typeof definition === 'string' ? await bus.driver.getDocument(definition) : undefined
  const refs = Array.isArray(messages) ? (messages as MessageRef[]) : []
  const said = await Promise.all(refs.map(ref => events.byId(ref.event)))
  const answer = await events.byId(resultId(event.id))
  return {
    model: asAsked(event).target ?? '?',
    ...(document && { instructions: (JSON.parse(document.value) as ModelDefinition).instructions }),
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
