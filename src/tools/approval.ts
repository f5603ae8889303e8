import { createHmac } from 'node:crypto'
import { createEvent, inheritedAttributes, type CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import { approvalId, callOfApproval } from '../bus/ids.ts'
import { copyOf, jsonOf, type Json } from '../json.ts'
import { validate } from '../schema.ts'
import { approvalRequest, type ApprovalRequest } from '../tasks/approval.ts'
import { isOpen } from '../tasks/approval-find.ts'
import { canonicalJson, differenceBetween } from '../tasks/canonical.ts'
import type { AnyTool } from './tool.ts'

/*
 * A tool that a person must allow is asked for in two steps, and nothing holds a slot in between:
 *
 *     tool.invoke ──▶ approval.requested          approval.granted ──▶ the call again, and now it runs
 *                                                 approval.denied  ──▶ tool.failed
 *
 * What is shown and hashed is what the tool is called with: the output of its schema, not the input of the call. The hash is keyed,
 * since it covers what redaction hides: nobody who reads the log can find a hidden value by trying.
 */

/** The input of a call as the schema of the tool makes it. @throws E_TOOL_INPUT */
export const parsedInput = ({ name, options }: AnyTool, call: CloudEvent): Promise<unknown> =>
  validate(options.input, copyOf(rawInputOf(call)), 'E_TOOL_INPUT', name)

/** Whether a person must be asked about this input. Only a clear no lets the tool run, with what the function saw. */
export const needsApproval = ({ options: { approval } }: AnyTool, input: Json): boolean =>
  typeof approval === 'function' ? approval(copyOf(input)) !== false : approval !== undefined

/**
 * The parsed input of a call that may have to be approved. It must be JSON, since nothing else can be shown, and the same each time it is
 * parsed, since it is parsed again when the answer comes. @throws E_TOOL_INPUT, with the path of what is not
 */
export async function approvableInput(tool: AnyTool, call: CloudEvent): Promise<Json> {
  const input = asJson(tool, await parsedInput(tool, call))
  const unstable = differenceBetween(input, asJson(tool, await parsedInput(tool, call)))
  if (unstable === undefined) return input
  throw new TidingsError(
    'E_TOOL_INPUT',
    `${tool.name}: ${unstable} is another value each time the schema parses the input, so it cannot be approved. Set it in run()`,
  )
}

function asJson({ name }: AnyTool, parsed: unknown): Json {
  const input = jsonOf(parsed, name, 'E_TOOL_INPUT')
  const converted = differenceBetween(parsed ?? null, input)
  if (converted === undefined) return input
  throw new TidingsError(
    'E_TOOL_INPUT',
    `${name}: ${converted} is not JSON after the schema parsed it, so it cannot be approved. Convert it in run()`,
  )
}

/** What a person is asked about a call: the same whenever it is made. */
export function approvalRequestFor(
  bus: Bus,
  { name, options }: AnyTool,
  call: CloudEvent,
  input: Json,
  hash: string,
): CloudEvent<ApprovalRequest> {
  const { approvers, version } = options
  const what = { tool: name, ...(version !== undefined && { version }), input }
  const request = createEvent({
    ...approvalRequest({ name, approvers, what }),
    id: approvalId(call.id),
    source: `/tools/${name}`,
    ...inheritedAttributes(call),
    causationid: call.id,
    hops: call.hops,
    replyto: name,
    ...(call.deadline !== undefined && { deadline: call.deadline }),
  })
  const redacted = bus.redactor.event(request) as CloudEvent<ApprovalRequest>
  return { ...redacted, data: { ...redacted.data, hash } }
}

/** Names what a tool is called with: the same as long as tool, declared version and input are. */
export function approvalHash({ name, options }: AnyTool, input: Json, key: string): string {
  const called = canonicalJson({ tool: name, version: options.version ?? 1, input })
  return createHmac('sha256', key).update(called).digest('hex').slice(0, 16)
}

/** The parsed input that a person granted. @throws E_APPROVAL_CHANGED where it is parsed to another one now, E_TOOL_INPUT */
export async function grantedInput(
  tool: AnyTool,
  call: CloudEvent,
  { by, hash }: { by?: string; hash?: string },
  key: string,
): Promise<Json> {
  const input = asJson(tool, await parsedInput(tool, call))
  if (hash === approvalHash(tool, input, key)) return input
  throw new TidingsError('E_APPROVAL_CHANGED', `what ${by} approved is not what ${tool.name} would run`)
}

/** The call that an answer of a person is about; undefined where it is about something else, or the call is gone. */
export async function callOf(bus: Bus, { call, target, correlationid }: CloudEvent): Promise<CloudEvent | undefined> {
  const id = callOfApproval(call ?? '')
  const found = id === undefined ? undefined : await bus.get(id, correlationid)
  return found?.type === 'tool.invoke' && found.target === target ? bus.resolve(found) : undefined
}

/** The same while somebody waits for the call. */
export async function waitingCallOf(bus: Bus, answer: CloudEvent): Promise<CloudEvent | undefined> {
  const call = await callOf(bus, answer)
  return call && (await isOpen(bus, call)) ? call : undefined
}

const rawInputOf = ({ data }: CloudEvent) => (data as { input?: unknown } | null)?.input
