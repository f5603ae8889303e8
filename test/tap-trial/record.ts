import type { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import { callHeader } from './call.ts'

/** A call of a model, as it is on the log. */
export interface RecordedModelCall {
  readonly request: CloudEvent
  /** The answers to it: one, if all is well. */
  readonly answers: readonly CloudEvent[]
  /** The tag of the call, from the last message that mentions one. */
  readonly tag?: string
  /** The number of the call, from its headers. */
  readonly n?: number
}

export interface RecordedLog {
  /** In the order of the log, by correlation. */
  readonly calls: readonly RecordedModelCall[]
  /** Calls that the tap says are not on the log. */
  readonly gap: number
  readonly events: number
  /** Texts that look like a key of a provider, with the event that has it. */
  readonly secrets: readonly string[]
}

const tagPattern = /c\d{6}x/g
export const secretPattern = /sk-(?:proj|ant-api03)-[0-9a-f]{48}/

/** Reads all that the tap of this name recorded, with what was stored beside the log. */
export async function readLog(bus: Bus, tap: string): Promise<RecordedLog> {
  const requests: CloudEvent[] = []
  const byId = new Map<string, CloudEvent>()
  const answers = new Map<string, CloudEvent[]>()
  const secrets: string[] = []
  let gap = 0
  let events = 0
  for await (const { event: stored } of bus.read({})) {
    events++
    const event = await bus.resolve(stored)
    const [secret] = secretPattern.exec(JSON.stringify(event)) ?? []
    if (secret !== undefined) secrets.push(`${event.type} ${event.id}: ${secret}`)
    byId.set(event.id, withoutBulk(event))
    if (event.type === 'tap.gap') gap += (event.data as { calls: number }).calls
    if (event.type === 'model.invoke' && event.target === `tap:${tap}`) requests.push(event)
    if (event.call === undefined) continue
    const known = answers.get(event.call)
    if (known) known.push(event)
    else answers.set(event.call, [event])
  }
  const calls = requests.map(request => {
    const tag = tagOf(request, byId)
    const n = numberOf(request)
    const named = { ...(tag !== undefined && { tag }), ...(n !== undefined && { n }) }
    return { request, answers: answers.get(request.id) ?? [], ...named }
  })
  return { calls, gap, events, secrets }
}

function numberOf({ data }: CloudEvent): number | undefined {
  const { http } = data as { http?: { headers?: Readonly<Record<string, string>> } }
  const n = http?.headers?.[callHeader.toLowerCase()]
  return n === undefined ? undefined : Number(n)
}

/** Large data is looked through once, and not kept. */
function withoutBulk(event: CloudEvent): CloudEvent {
  const json = JSON.stringify(event.data ?? null)
  if (json.length < 1_000_000) return event
  return { ...event, data: { tags: json.match(tagPattern) } }
}

function tagOf({ data }: CloudEvent, byId: ReadonlyMap<string, CloudEvent>): string | undefined {
  const { messages = [] } = data as { messages?: readonly { event?: string }[] }
  const texts = messages.map(({ event, ...own }) =>
    JSON.stringify([own, event === undefined ? null : byId.get(event)?.data]),
  )
  return texts.join('\n').match(tagPattern)?.at(-1) ?? JSON.stringify(data).match(tagPattern)?.at(-1)
}
