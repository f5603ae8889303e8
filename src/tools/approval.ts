import { createHmac } from 'node:crypto'
import { createEvent, inheritedAttributes, type CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import { approvalId, callOfApproval, isQuestionId } from '../bus/ids.ts'
import { copyOf, jsonOf, type Json } from '../json.ts'
import { validateInput } from '../schema.ts'
import { approvalRequest } from '../tasks/approval.ts'
import { isOpen } from '../tasks/approval-find.ts'
import { canonicalJson, differenceBetween } from '../tasks/canonical.ts'
import type { AnyTool } from './tool.ts'

/*
 * A call of a tool that needs approval has two steps, and uses no slot in between:
 *
 *     tool.invoke ──▶ approval.requested          approval.granted ──▶ the call is repeated and runs
 *                                                 approval.denied  ──▶ tool.failed
 *
 * The parsed input, with which the tool is called, is shown and hashed. The hash is keyed because it covers redacted values, which a
 * reader of the log could otherwise find by trying.
 */

/** The input of a call, parsed by the schema of the tool. @throws E_TOOL_INPUT */
export const parsedInput = ({ name, options }: AnyTool, call: CloudEvent): Promise<unknown> =>
  validateInput(options.input, copyOf(rawInputOf(call)), 'E_TOOL_INPUT', name)

/** Whether this input needs approval. Anything but `false` from the function of the tool does. */
export const needsApproval = ({ options: { approval } }: AnyTool, input: Json): boolean =>
  typeof approval === 'function' ? approval(copyOf(input)) !== false : approval !== undefined

/**
 * The parsed input of a call that may need approval. It must be JSON, because only that can be shown, and the same each time, because it
 * is parsed once more when the answer arrives. @throws E_TOOL_INPUT with the path of the first value that is not
 */
export async function approvableInput(tool: AnyTool, call: CloudEvent): Promise<Json> {
  const input = asJson(tool, await parsedInput(tool, call))
  const unstable = differenceBetween(input, asJson(tool, await parsedInput(tool, call)))
  if (unstable === undefined) return input
  throw new TidingsError(
    'E_TOOL_INPUT',
    `${tool.name}: the schema gives ${unstable} a different value each time it parses the input, so it cannot be approved: set it in run()`,
  )
}

function asJson({ name }: AnyTool, parsed: unknown): Json {
  const input = jsonOf(parsed, name, 'E_TOOL_INPUT')
  const converted = differenceBetween(parsed ?? null, input)
  if (converted === undefined) return input
  throw new TidingsError(
    'E_TOOL_INPUT',
    `${name}: ${converted} is not JSON after the schema parsed it, so it cannot be approved: convert it in run()`,
  )
}

/** The request for approval of a call, which is the same each time it is built. */
export function approvalRequestFor({ name, options }: AnyTool, call: CloudEvent, input: Json, hash: string) {
  const { approvers, version } = options
  const what = { tool: name, ...(version !== undefined && { version }), input }
  const draft = approvalRequest(name, what, { ...(approvers && { approvers }) })
  return createEvent({
    ...draft,
    data: { ...draft.data, hash },
    id: approvalId(call.id),
    source: `/tools/${name}`,
    ...inheritedAttributes(call),
    causationid: call.id,
    hops: call.hops,
    replyto: name,
    ...(call.deadline !== undefined && { deadline: call.deadline }),
  })
}

export function approvalHash({ name, options }: AnyTool, input: Json, key: string): string {
  const called = canonicalJson({ tool: name, version: options.version ?? 1, input })
  return createHmac('sha256', key).update(called).digest('hex').slice(0, 16)
}

/** The parsed input that a person approved. @throws E_APPROVAL_CHANGED if it is parsed differently now, E_TOOL_INPUT */
export async function grantedInput(
  tool: AnyTool,
  call: CloudEvent,
  { by, hash }: { by?: string; hash?: string },
  key: string,
): Promise<Json> {
  const input = asJson(tool, await parsedInput(tool, call))
  if (hash === approvalHash(tool, input, key)) return input
  throw new TidingsError(
    'E_APPROVAL_CHANGED',
    `the input that ${by} approved is not the input with which "${tool.name}" would run now: request approval again`,
  )
}

/** The tool call that an approval is for; undefined if it is for something else, or if the call was purged. */
export async function callOf(
  bus: Bus,
  { call, target, tenant, correlationid }: CloudEvent,
): Promise<CloudEvent | undefined> {
  // The tool that runs waits for the answer to its question itself.
  const id = call === undefined || isQuestionId(call) ? undefined : callOfApproval(call)
  const found = id === undefined ? undefined : await bus.get(id, correlationid)
  const isMeant = found?.type === 'tool.invoke' && found.target === target && found.tenant === tenant
  return isMeant ? bus.resolve(found) : undefined
}

/** The same, if a task still waits for the call. */
export async function waitingCallOf(bus: Bus, answer: CloudEvent): Promise<CloudEvent | undefined> {
  const call = await callOf(bus, answer)
  return call && (await isOpen(bus, call)) ? call : undefined
}

const rawInputOf = ({ data }: CloudEvent) => (data as { input?: unknown } | null)?.input
