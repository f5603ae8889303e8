import { isDeepStrictEqual } from 'node:util'
import type { CloudEvent } from '../../src/event.ts'
import type { Call, ExpectedRecord } from './call.ts'
import { describeCall } from './compare.ts'
import { secretPattern, type RecordedLog, type RecordedModelCall } from './record.ts'
import type { Made } from './trial.ts'

export interface Verdict {
  readonly faults: readonly string[]
  readonly figures: Readonly<Record<string, number>>
  /** Calls that are not on the log. */
  readonly lacking: readonly string[]
}

/** Whether every call that was forwarded is on the log once, and as it was. */
export function verify(made: readonly Made[], log: RecordedLog): Verdict {
  const faults = log.secrets.map(secret => `a key is on the log: ${secret}`)
  const lacking: string[] = []
  const byTag = Map.groupBy(log.calls, ({ tag }) => tag ?? '')
  const madeByTag = Map.groupBy(made, ({ call }) => call.tag)
  // Requests that are none to a model may be recorded without what they had.
  const nameless = made.filter(({ call, forwarded }) => !call.expected && forwarded > 0).length
  const figures = {
    calls: made.length,
    forwarded: 0,
    recorded: log.calls.length,
    'cut by kills': 0,
    interrupted: 0,
    nameless,
    'killed before the server had it': made.reduce((sum, { attempts }) => sum + attempts - 1, 0),
    unrecorded: 0,
    'unrecorded, in no kill': 0,
    'ended just before a kill, and interrupted': 0,
    'reported as unrecorded': log.gap,
    events: log.events,
  }
  const strangers = log.calls.filter(({ tag }) => !tag || !madeByTag.has(tag))
  if (strangers.length > nameless)
    faults.push(`${strangers.length} calls on the log that nobody made, such as ${strangers[0]!.request.id}`)
  for (const [tag, all] of madeByTag) {
    const recorded = byTag.get(tag) ?? []
    const sent = all.filter(({ forwarded }) => forwarded > 0)
    const due = sent.filter(({ call }) => call.expected)
    figures.forwarded += sent.length
    figures['cut by kills'] += sent.filter(({ wasCut }) => wasCut).length
    // What is no call of a model may be recorded or not.
    const attempts = all.reduce((sum, each) => sum + each.attempts, 0)
    if (recorded.length > attempts)
      faults.push(`${describeCall(all[0]!.call)}: ${recorded.length} times on the log, ${attempts} times sent`)
    const missing = Math.max(0, due.length - recorded.length)
    figures.unrecorded += missing
    if (missing > 0)
      lacking.push(
        `${missing} of ${due.map(({ call, wasCut }) => `${describeCall(call)}${wasCut ? ', cut' : ''}`).join('; ')}`,
      )
    figures['unrecorded, in no kill'] += Math.max(0, missing - due.filter(isHit).length)
    for (const each of recorded)
      if (each.answers.length !== 1)
        faults.push(`${describeCall(all[0]!.call)}: ${each.answers.length} ends of ${each.request.id}`)
    for (const each of recorded) if (isInterrupted(each.answers[0])) figures.interrupted++
    for (const each of all) {
      const own = recorded.filter(({ n }) => n === each.call.n)
      const lost = own.filter(({ answers }) => isInterrupted(answers[0]))
      if (lost.length > 0 && !each.wasCut && each.isRecent()) figures['ended just before a kill, and interrupted']++
      // Attempts that a kill ended before the server had them may be on the log, too.
      const maxLost = each.attempts - 1 + (isHit(each) ? 1 : 0)
      if (lost.length > maxLost)
        faults.push(`${describeCall(each.call)}: ${lost.length} times interrupted, and hit by ${maxLost} kills`)
      for (const record of own)
        if (!lost.includes(record)) faults.push(...compareRecord(each.call, record, each.wasCut))
    }
  }
  faults.push(...correlations(made, byTag))
  return { faults, figures, lacking }
}

/** Whether a kill found the call in flight, or on its way to the log. */
const isHit = ({ wasCut, isRecent }: Made) => wasCut || isRecent()

const isInterrupted = (answer: CloudEvent | undefined) => errorOf(answer)?.code === 'E_TAP_INTERRUPTED'
const errorOf = (answer: CloudEvent | undefined) =>
  (answer?.data as { error?: { code: string; message: string } } | undefined)?.error

function compareRecord(call: Call, { request, answers: [answer] }: RecordedModelCall, wasCut: boolean): string[] {
  const { expected } = call
  if (!expected || !answer || wasCut) return []
  const found: string[] = []
  const check = (what: string, wanted: unknown, is: unknown) => {
    if (!isDeepStrictEqual(wanted, is))
      found.push(`${describeCall(call)} on the log as ${request.id}: ${what} ${short(is)} in place of ${short(wanted)}`)
  }
  check('subject', expected.subject, request.subject)
  if (expected.end) check('end', `model.${expected.end}`, answer.type)
  if (expected.end && answer.type !== `model.${expected.end}`) return found
  if (expected.status !== undefined && !errorOf(answer)?.message.includes(String(expected.status)))
    check('error', `status ${expected.status}`, errorOf(answer))
  if (answer.type === 'model.result') compareResult(check, expected, answer.data as Result)
  return found
}

interface Result {
  readonly text?: string
  readonly toolCalls?: readonly { readonly toolName: string; readonly input?: unknown; readonly malformed?: string }[]
  readonly usage?: { readonly input: number; readonly output: number }
}

function compareResult(
  check: (what: string, wanted: unknown, is: unknown) => void,
  expected: ExpectedRecord,
  { text, toolCalls, usage }: Result,
) {
  const hidesSecret = expected.text !== undefined && secretPattern.test(expected.text)
  if (expected.text !== undefined && !hidesSecret && expected.text.length < 1_000_000)
    check('text', expected.text, text)
  if (expected.toolCalls)
    check(
      'tool calls',
      expected.toolCalls,
      (toolCalls ?? []).map(({ toolName, input, malformed }) => ({
        toolName,
        ...(malformed === undefined ? { input } : { malformed }),
      })),
    )
  if (expected.usage) check('usage', expected.usage, usage && { input: usage.input, output: usage.output })
}

/** The calls of a conversation are one correlation, and no others are in it. */
function correlations(made: readonly Made[], byTag: ReadonlyMap<string, readonly RecordedModelCall[]>): string[] {
  const found: string[] = []
  const owners = new Map<string, number>()
  for (const [conversation, all] of Map.groupBy(made, ({ call }) => call.conversation)) {
    // The tap had an answer and the client had none, or an answer too large to compare: the client does not continue it.
    if (all.some(({ call }) => call.isLarge || call.kind === 'malformed' || call.kind === 'wrong-encoding')) continue
    const known = all.filter(({ call }) => call.expected).flatMap(({ call }) => byTag.get(call.tag) ?? [])
    const own = new Set(known.map(({ request }) => request.correlationid))
    // What connects the next call to an answer is stored with the answer, and may be lost with it.
    if (own.size > 1 && !all.some(each => isHit(each) || each.attempts > 1))
      found.push(
        `conversation ${conversation} of ${all.length} calls (${all.map(({ call }) => call.kind).join(', ')}) is in ${own.size} correlations`,
      )
    for (const correlation of own) {
      const other = owners.get(correlation)
      if (other !== undefined) found.push(`conversations ${other} and ${conversation} are in one correlation`)
      owners.set(correlation, conversation)
    }
  }
  return found
}

const short = (value: unknown) => {
  const json = JSON.stringify(value) ?? 'nothing'
  return json.length > 300 ? `${json.slice(0, 300)}…` : json
}
