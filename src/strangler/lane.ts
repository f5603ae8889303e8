import type { Bus } from '../bus/bus.ts'
import { toTidingsError, type ErrorData } from '../errors.ts'
import { jsonOf, type Json } from '../json.ts'
import { asCalled } from '../tasks/effects.ts'
import { tokensOf, type ModelResult } from '../tasks/conversation.ts'
import { CallError } from '../tasks/script.ts'

/*
 * A lane is one of the up to three answers to the same request: that of `old`, that of `old` once more, and that of the candidate.
 */

/** An answer, or the failure of one. */
export interface LaneAnswer {
  readonly ms: number
  readonly correlationid: string
  /** The task of the candidate. */
  readonly task?: string
  readonly output?: Json
  readonly error?: Pick<ErrorData, 'code' | 'message'>
}

/** What a lane did on the log, as far as its calls are there. */
export interface LaneFacts {
  /** The names of the tools that it called, in order; absent if none of its calls is on the log. */
  readonly tools?: readonly string[]
  readonly tokens?: number
  readonly cost?: number
}

/** How a lane ended. */
type LaneEnd = { readonly output: unknown } | { readonly thrown: unknown }

/** Copies the output at the moment of the call. One that is not JSON counts as a failure. */
export function laneAnswer(correlationid: string, began: number, end: LaneEnd): LaneAnswer {
  const lane = { ms: Math.round((performance.now() - began) * 10) / 10, correlationid }
  if ('thrown' in end) return { ...lane, error: errorOf(end.thrown) }
  try {
    return { ...lane, output: jsonOf(end.output, 'the output') }
  } catch (thrown) {
    return { ...lane, error: errorOf(thrown) }
  }
}

/** Runs a lane, and never rejects. */
export async function runLane(correlationid: string, answer: () => unknown): Promise<LaneAnswer> {
  const began = performance.now()
  try {
    return laneAnswer(correlationid, began, { output: await answer() })
  } catch (thrown) {
    return laneAnswer(correlationid, began, { thrown })
  }
}

const maxMessage = 300

function errorOf(thrown: unknown): Pick<ErrorData, 'code' | 'message'> {
  const { code, message } = thrown instanceof CallError ? thrown.data : toTidingsError(thrown, 'E_PROGRAM_FAILED')
  return { code, message: message.slice(0, maxMessage) }
}

/** A lane and what it did. */
export type ObservedLane = LaneAnswer & LaneFacts

/** An answer with what it called. Without it, if that cannot be read. */
export const observeLane = async (bus: Bus, lane: LaneAnswer): Promise<ObservedLane> => ({
  ...lane,
  ...(await readLaneFacts(bus, lane.correlationid).catch(() => ({}))),
})

/** What a correlation called, and what its models used. */
async function readLaneFacts(bus: Bus, correlation: string): Promise<LaneFacts> {
  const tools: string[] = []
  let [isKnown, tokens, cost] = [false, 0, 0]
  for await (const { event } of bus.read({ correlation })) {
    const { type, target } = asCalled(event)
    isKnown ||= /^(tool|model|task)\./.test(type)
    if (type === 'tool.invoke' && target !== undefined) tools.push(target)
    if (type !== 'model.result') continue
    const result = (await bus.resolveIfStored(event)).data as Partial<ModelResult> | null
    if (result?.usage) tokens += tokensOf({ usage: result.usage })
    cost += result?.cost ?? 0
  }
  if (!isKnown) return {}
  return { tools, ...(tokens > 0 && { tokens }), ...(cost > 0 && { cost }) }
}
