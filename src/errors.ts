import { truncateStack, stackOf } from './stack.ts'
import { codeOfThrown, truncateText, describeThrown, maxCodeText } from './thrown.ts'

/**
 * Every error code that a user can meet: what it means and what to do next. `docs/errors.md` is generated from it.
 * @example show(errors.E_TOOL_TIMEOUT)
 */
export const errors = {
  E_EVENT_INVALID:
    'The event is not valid. Correct the attribute that the message names; docs/wire-format.md is the reference.',
  E_VALUE_INVALID:
    'A value for the log is not JSON. Convert the value at the path that the message names; docs/values.md lists what is accepted.',
  E_EVENT_TOO_LARGE: 'The event is larger than the bus accepts. Put large content into a blob and send its reference.',
  E_BUS_UNKNOWN:
    'No driver is known for the scheme of TIDINGS_BUS. Leave it unset for the embedded log, use nats://HOST:PORT/LOG or kafka://HOST:PORT/LOG, or register a driver (docs/custom-driver.md).',
  E_BUS_CLOSED: 'The bus is closed. Publish before app.stop(), or start the app again.',
  E_BUS_DENIED:
    'The broker rejects the credentials, or the user lacks a permission. docs/nats.md and docs/kafka-security.md list the permissions of each role.',
  E_BUS_TLS:
    'The broker and the address disagree about TLS, or a certificate is not accepted. The message says which; docs/kafka-security.md shows the options `ca`, `cert` and `key`.',
  E_BUS_VERSION: 'The broker is too old or lacks JetStream. `tidings broker nats` runs one that works.',
  E_LOG_UNAVAILABLE:
    'The log cannot be used; nothing of this call was stored. Check that the broker runs and has room, or the disk space and permissions of TIDINGS_HOME.',
  E_LOG_REPLACED:
    'The files of the log were removed or replaced while a process had them open; nothing of this call was stored. Stop every process on this TIDINGS_HOME, restore all its files together and start again. Without them the log starts empty.',
  E_LOG_INCOMPLETE:
    'Acknowledged events are missing from the log. Restore log.db and log.db-wal, both from the same moment. The message says how to continue without the missing events; their effects may then happen twice.',
  E_LOG_UNANSWERED:
    'The broker did not answer in time, so it is unknown whether the call was stored. Repeat it with the same id: that is safe.',
  E_LOG_READ_ONLY: 'The log was opened for reading only. Open it with openBus() or start() without readOnly.',
  E_LOG_VERSION:
    'A newer version of Tidings wrote the log. Upgrade this installation, or point TIDINGS_HOME to another folder.',
  E_LOG_MOVED:
    'The log was copied, or is being copied, and the other log takes its place. Point TIDINGS_BUS to the log that the message names, once `tidings copy` says that it is verified. To go back to this one, run the same command with --undo.',
  E_COPY_UNVERIFIED:
    'The log is the target of a copy that is not complete, and nothing may run on it. Run the same `tidings copy` again until it says "verified".',
  E_COPY_REFUSED:
    'The log cannot be copied as things are. Correct what the message names and run the same command again; docs/guides/moving-a-log.md lists the steps.',
  E_COPY_DIFFERS:
    'The target of a copy does not hold what the source holds, so nothing may run on it. Delete the target and copy into a new log; if that differs too, report it with the message.',
  E_INDEX_UNAVAILABLE:
    'The search index cannot be read or written. Check the disk space and permissions of TIDINGS_HOME. You may delete the index at any time; it is rebuilt.',
  E_BLOB_MISSING:
    'The blob does not exist. It was purged with its events, or it belongs to another tenant. Raise `retention` in app(), or read it earlier.',
  E_APP_INVALID:
    'The app is not valid. Correct what the message names; the default export of the file must be app({ use: [...] }).',
  E_APP_NAME_TAKEN: 'The app uses one name twice. Give each agent, tool and model its own name.',
  E_AGENT_TAKEN:
    'Another app on this log hosts an agent or workflow with this name. Rename one of them, give this app its own log, or stop the workers of the other app: the name then goes to the app that starts next.',
  E_PORT_IN_USE:
    'The port is in use. Choose another one (TIDINGS_PORT, TIDINGS_SMTP_PORT, TIDINGS_WEBHOOK_PORT, tidings broker nats --port, tidings broker kafka --port), or start without it: tidings run --only agents,tools,models.',
  E_BROKER_MISSING:
    'The server of the broker was not found. NATS: install nats-server 2.12 or newer, or Go, which builds it; or set TIDINGS_NATS_SERVER to a binary. Kafka: install Java 17, and Maven, which downloads it; or set TIDINGS_KAFKA_SERVER to a folder of Kafka 4.',
  E_BROKER_FAILED: 'The broker did not start, or it ended. Correct what the message says about it, and start it again.',
  E_PROGRAM_MISMATCH:
    'The code no longer matches the recorded turns of this task. Run the version that wrote them, then `tidings retry TASK`; or continue with this code from an earlier turn, as a new task: `tidings fork --from TASK@TURN`.',
  E_PROGRAM_UNKNOWN:
    'No agent of this worker handles the event, although it is addressed to this app. Deploy the version of the app that handles it, or remove the entry: `tidings attention discard ID`.',
  E_PROGRAM_VERSION:
    'This worker runs an older version of the program than the one that wrote the task. Deploy the newer version.',
  E_PROGRAM_FAILED:
    'The code of the agent threw an error, and its task failed. Fix the code; `tidings retry TASK` then continues from there, and `tidings redrive` starts over.',
  E_SCRIPT_FOREIGN_AWAIT:
    'A run() agent awaited a promise that is not from ctx. Put the work into a step: await ctx.step(name, () => …); or into a tool: await ctx.call(tool, input).',
  E_SCRIPT_UNAWAITED:
    'A run() agent returned without awaiting one of its calls. Put `await` in front of the call, or keep its promise and await it later.',
  E_STEP_CONTEXT:
    'The function of ctx.step() used ctx. Call ctx before or after the step, and return from the step what the code after it needs.',
  E_TURN_TOO_LARGE:
    'One turn of a task emitted more than a turn can store. Emit less in one turn: await some answers before the next calls, and send references to blobs instead of large content.',
  E_JOURNAL_BEHIND:
    'The log does not show the turn that made this call yet. The worker retries; if this continues, check the replicas of the broker.',
  E_RETRY_REFUSED:
    'This task cannot be retried; the message says why. `tidings fork --from TASK@TURN` continues from an earlier turn with the effects that you allow; `tidings redrive` repeats the events from outside.',
  E_REPLAY_DENIED:
    'A redrive or fork may only do what you allow. The message names the option of `tidings redrive` or `tidings fork` that allows this call.',
  E_REPLAY_UNRECORDED:
    'The recording has no answer to this call. Supply one with --stub NAME=FILE.json, or allow the call with --effects NAME=live.',
  E_CANDIDATE_UNSURE:
    'The log did not say whether it stored a request to the candidate of a strangler, so the old code did not answer it: both might have acted. Look for its correlation with `tidings trace`. Requests that may be answered by both are declared with `repeatable`.',
  E_CANDIDATE_LATE:
    'The candidate of a strangler accepted the request and has not answered in time; its task is cancelled at its deadline. Raise `within`, or answer 202 with `begin`. Requests that the old code may answer as well are declared with `repeatable`.',
  E_REASON_UNKNOWN: 'An older version of Tidings stored this entry without a code. Its message says what happened.',
  E_PAUSED: 'The agent, tool or model is paused. `tidings resume KIND NAME` continues it and delivers what was kept.',
  E_TASK_MOVED: 'Another worker owns the shard of this task now and retries the delivery. No action is needed.',
  E_TASK_ENDED:
    'The task ended before it took the message. Ask again with the message; with the same `thread`, the new task continues the conversation.',
  E_TASK_CANCELLED: 'The task was cancelled. `tidings why TASK` shows the event that cancelled it.',
  E_TASK_HOPS:
    'The chain of tasks is longer than the hop limit. Two agents may trigger each other; `tidings trace` shows the loop.',
  E_TASK_TURNS: 'A run() agent took more turns than its history may hold. Continue with ctx.continueAs(input).',
  E_BUDGET_EXCEEDED:
    'The budget of this correlation is spent; the message says which limit. Look for a loop with `tidings trace`, or raise the limit in app({ budget }).',
  E_CALL_EXPIRED:
    'The call was not answered before its deadline. Check that a worker hosts the target; `tidings attention` lists the calls that wait.',
  E_KEY_REUSED:
    'An idempotency key stands for one request, for 24 hours. Send the request as it was the first time, or another request with a new key.',
  E_RESULT_PENDING:
    'The task has not ended yet, and it goes on. Call result() again, or handle(id).result() in any process; handle.cancel() ends it.',
  E_WORKFLOW_EXPIRED:
    'The event that a workflow waits for did not arrive in time. Give the step an `otherwise`, or more time.',
  E_WORKFLOW_UNMATCHED: 'An event arrived that the pattern excludes. Give the step an `otherwise`.',
  E_WORKFLOW_VALUE:
    'A workflow step cannot use a value. The message names it; `tidings trace` shows where it came from.',
  E_WORKFLOW_FAILED: 'The workflow ended with its step fail(). The message is from the workflow.',
  E_TOOL_UNKNOWN: 'The agent has no tool with this name. Add it to `tools` of the agent.',
  E_TOOL_INPUT: 'The input does not match the schema of the tool. Correct the caller, or `input` of the tool.',
  E_TOOL_OUTPUT:
    'The tool or step returned a value that does not match its output schema, or is not JSON. docs/values.md lists what is accepted.',
  E_TOOL_TIMEOUT:
    'The tool or step ran longer than its timeout; time in the queue does not count. Raise `timeout`, or pass `signal` of its context to what it waits for.',
  E_TOOL_THREW:
    'The tool or step threw an error. Fix its code, give it `retry` if the error is temporary, or catch the error where the agent calls it.',
  E_TOOL_OUTCOME_UNKNOWN:
    'An atMostOnce tool or step was started and its result was not recorded. Find out what happened. A retry does not start it again; `tidings fork --stub tool/NAME=FILE.json` (for a step: step/AGENT) continues with the answer that you give.',
  E_APPROVAL_DENIED: 'A person denied the call. The message says who, and why.',
  E_APPROVAL_FORBIDDEN: 'Only the approvers of this request may answer it. Ask one of them.',
  E_APPROVAL_CHANGED:
    'The request or the input of the tool changed after it was approved. Ask again and review it again: `tidings approvals`.',
  E_APPROVAL_ANSWERED:
    'The approval was answered before, and the first answer counts. `tidings trace` shows the answer.',
  E_APPROVAL_OVER: 'No caller waits for this answer any more. The caller must ask again.',
  E_CREDENTIAL_UNKNOWN:
    'The request carries no credential that the gateway accepts. `tidings keys create` makes an API key; docs/identity.md describes keys, tokens and tickets.',
  E_FORBIDDEN:
    'No role of the credential permits this. The policy file (TIDINGS_POLICY) says what each role may do; docs/identity.md describes it.',
  E_GATEWAY_UNREACHABLE:
    'No gateway answered the client in time. Check the url and the network. The request may have been stored; repeat it with the same id or key.',
  E_IDENTITY_MISSING:
    'The gateway serves other machines only if it knows who they are. Set TIDINGS_POLICY to a policy file (docs/identity.md), or leave TIDINGS_HOST unset to serve this machine only.',
  E_RATE_LIMITED:
    'The credential sent too much in a minute. Wait as long as Retry-After says; `limits` in the policy file sets how much is allowed.',
  E_WORKER_LOST:
    'The call ended the worker that ran it, several times. Check what it does to the process: memory, exit, a native crash.',
  E_WORKER_STOPPED:
    'The worker stopped before the call ended. Another worker starts it again; TIDINGS_STOP_WITHIN sets how long a stop waits.',
  E_MODEL_UNKNOWN:
    'TIDINGS_MODEL names no known model. Use openai/NAME, anthropic/NAME, google/NAME or a base URL with #NAME, or leave it unset for the offline model.',
  E_MODEL_KEY: 'The key of the model provider is not set. Export the variable that the message names.',
  E_MODEL_FAILED:
    'The model provider answered with an error, which is the message. Check the request, the name of the model and the account.',
  E_MODEL_UNAVAILABLE:
    'The model provider was unavailable until the retries ended. Look at its status page; model(…, { retry: { retryFor } }) sets how long calls are retried.',
  E_MODEL_OUTPUT:
    'The output of the model does not match the declared schema, also after a second request. Simplify `output` of the agent, or use another model.',
  E_MODEL_LENGTH:
    'The model reached its limit of output tokens before its answer was complete. Raise maxOutputTokens of the model, ask for less, or decide what happens with agent({ finish: { length } }).',
  E_MODEL_FILTERED:
    "The provider's content filter stopped the answer. Check the input; agent({ finish: { filtered: 'accept' } }) uses the partial answer.",
  E_MODEL_REFUSED:
    "The model refused to answer. Check the input and the instructions; agent({ finish: { refused: 'accept' } }) uses the refusal as the answer.",
  E_MODEL_EMPTY:
    "The model returned neither text nor a tool call, also after a second request. Make the instructions more precise; agent({ finish: { empty: 'accept' } }) accepts the empty answer.",
  E_MODEL_UNFINISHED:
    "The model stopped for a reason that does not mean that its answer is complete. If it does for your provider: agent({ finish: { other: 'accept' } }).",
  E_AGENT_REFUSED:
    'A guard of the agent refused a message or the answer; the message says why. Change the input, or the guard.',
  E_AGENT_INPUT:
    'The input does not match the schema of the agent. Correct the caller, or `input` of the agent; without it, the schemas of `on` apply.',
  E_AGENT_STEPS:
    'The agent used all its steps without an answer. Raise maxSteps, or make the instructions more precise.',
  E_MAIL_REFUSED: 'The mail was rejected. The SMTP reply says why; correct that and send the mail again.',
  E_TRIGGER_SILENT:
    'The trigger published no event. Check that a worker runs it (`tidings run`) on this log; or send it something yourself, and watch `tidings tail`.',
  E_REQUEST_INVALID: 'The request is not valid. Correct what the message names.',
  E_REQUEST_TOO_LARGE: 'The request body is too large. Send less at a time; the message states the limit.',
  E_SIGNATURE_INVALID:
    'The signature of the request is not valid. Check the secret on both sides and the clocks, and that no proxy changes the body.',
  E_CURSOR_EXPIRED:
    'Events that the stream should send were removed by retention, or the log was moved to another broker and the cursor is from before. Continue after data.horizon, and read the present state some other way; raise `retention` in app() if clients stay away for longer.',
  E_BUSY: 'Too many requests are in progress. Nothing of this one was stored: retry in a moment.',
  E_NOT_FOUND:
    'Nothing has this name, id or path. Check the spelling; a command reads the log of TIDINGS_HOME or TIDINGS_BUS.',
  E_AMBIGUOUS: 'Several ids end like this. The message lists them: give more characters of the id.',
  E_SLICE_INVALID:
    'The file is not a complete slice of a log, or it was changed. Export it again; docs/fixtures.md describes the format.',
  E_IMPORT_NOT_EMPTY:
    'A slice can be imported into an empty log only. Use another TIDINGS_HOME, or another log of the broker.',
  E_IMPORT_PARTIAL:
    'The log holds an incomplete import, which must not run. Remove the log, and repeat the import into an empty one.',
  E_REPLAY_ISOLATED:
    'Replayed code must not use the network, start a process or thread, or write a file. Move that into a tool.',
  E_ACCEPT_INVALID:
    'The file of accepted divergences cannot be read. `tidings replay --accept FILE --update` writes it.',
  E_SETTING_INVALID: 'A setting is not valid. Correct the value that the message names.',
  E_TELEMETRY_MISSING:
    'The packages that export spans and metrics are not installed. Install those that the message names, or unset OTEL_EXPORTER_OTLP_ENDPOINT.',
  E_MCP_MISSING:
    'MCP needs a package that is not installed, because it is optional. Install the one that the message names.',
  E_MCP_UNPINNED:
    'What models would read of the tools of this MCP server was not reviewed yet. `tidings pin` lists them and writes the file: read it, and commit it.',
  E_MCP_CHANGED:
    'The MCP server describes a tool differently than when it was reviewed, so calls of it wait. Look at what changed with `tidings pin --check`; `tidings pin` accepts it, and the calls continue when the workers are started again.',
  E_MCP_UNAVAILABLE:
    'The MCP server cannot be reached, and calls of its tools wait until it can. Check that it runs, its command or address, and its credentials.',
  E_MCP_PROTOCOL:
    'The MCP server sent what the protocol does not allow, or more than the client reads. Look at the server; `exclude` leaves out a tool.',
  E_MCP_ADDRESS:
    'The MCP server names an address that its client must not contact. If you trust it, use that address in `url` of mcp().',
  E_MCP_INPUT:
    'The tool asks for input while it runs. Let it ask a person for fields with `elicitation: true` of mcp(), give all input with the call, or leave the tool out with `exclude`.',
  E_MQTT_MISSING: 'The MQTT trigger needs a package that is not installed: npm install mqtt.',
  E_MQTT_REFUSED:
    'The MQTT broker rejects the connection, and waiting does not help. The message says why: credentials, certificates, client id, version or topics.',
  E_KAFKA_MISSING:
    'A package for Kafka, or for a format of its records, is not installed, because it is optional. Install the one that the message names.',
  E_KAFKA_REFUSED:
    'The Kafka cluster rejects the connection or a request, and waiting does not help. The message says why: credentials, rights on the topic or the group, certificates, names.',
  E_RECORD_INVALID:
    'A record of a Kafka topic cannot become an event, or an event no record; the message says why. Correct the mapping, the schema or the data; `tidings attention` lists what was set aside, and how to release it.',
  E_REGISTRY_UNAVAILABLE:
    'The schema registry does not answer, or rejects the credentials. Records wait meanwhile and none is set aside. Check its address, its state and the credentials.',
  E_TAP_INTERRUPTED:
    'The end of a tapped call is not on the log: the tap died before it was recorded, or had no room for it. What the client got is not known.',
  E_TAP_CANCELLED:
    'The client went away, or cancelled the call, before its answer had passed the tap. Look at the timeout of the client if this was not intended.',
  E_TAP_UPSTREAM:
    'The service behind the tap answered with an error, or not at all; the message says what the client got. Look at the logs of the service.',
  E_TAP_COMMAND:
    'The command of the MCP server cannot be started. Check it, and the PATH that the MCP client sets: tidings tap mcp -- COMMAND ARGS.',
  E_INTERNAL: 'This is a bug in Tidings. Set TIDINGS_DEBUG=1 to see the stack, and report it.',
  E_USAGE: 'The command is not valid. `tidings --help` lists the commands.',
} as const

/** Every code is in docs/errors.md, with what to do next. */
export type ErrorCode = keyof typeof errors

interface ErrorOptions {
  cause?: unknown
  retryable?: boolean
  /** What to do, if the text of the code would mislead. */
  next?: string | undefined
  originalCode?: string | undefined
  data?: ErrorDetails
}

/**
 * The only error class of Tidings. Programs read `code` and `data`; `message` says what happened, `next` what to do.
 * @example
 * try {
 *   await running.publish(paid, { order: 'A1', amount: 40 })
 * } catch (error) {
 *   if (error instanceof TidingsError && error.code === 'E_EVENT_INVALID') show(error.next)
 *   else throw error
 * }
 */
export class TidingsError extends Error {
  override readonly name = 'TidingsError'
  readonly code: ErrorCode
  readonly next: string
  /** Whether a retry may succeed. */
  readonly retryable: boolean
  /** The code of the original error, such as `ECONNREFUSED`. */
  readonly originalCode?: string
  /** What a program needs to act on the error, such as the task and the turn to fork from. */
  readonly data?: ErrorDetails

  /** Truncates `detail` to 4,096 characters, so that an error always fits into an event. */
  constructor(code: ErrorCode, detail: string, options: ErrorOptions = {}) {
    super(truncateText(detail), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.next = options.next ?? errors[code]
    this.retryable = options.retryable ?? false
    if (options.originalCode !== undefined) this.originalCode = options.originalCode
    if (options.data) this.data = options.data
  }

  toJSON(): ErrorData {
    return dataOf(this)
  }
}

export type ErrorDetails = Readonly<Record<string, string | number>>

/** An error as data, in events and HTTP responses: a few kilobytes at most. */
export interface ErrorData {
  code: string
  message: string
  next?: string
  retryable?: boolean
  /** The code of the original error or of one of its causes, such as `ECONNREFUSED`. */
  originalCode?: string
  data?: ErrorDetails
  /** Frames of the user's code and of the causes, one per line. Only on the log, never in HTTP responses. */
  stack?: string
}

/** For an event or task that was removed from the log, or is on another one. */
export const notOnLog = (detail: string) =>
  new TidingsError('E_NOT_FOUND', detail, {
    next: 'Events stay for the `retention` of app(). If it should still exist, check TIDINGS_HOME and TIDINGS_BUS, which name the log.',
  })

export const failure = (code: ErrorCode, detail: string): ErrorData => new TidingsError(code, detail).toJSON()

/** Converts any thrown value. Other errors keep their text, and their code as `originalCode`. Never throws. */
export function toTidingsError(thrown: unknown, code: ErrorCode): TidingsError {
  if (isIntact(thrown)) return thrown
  return new TidingsError(code, textOf(thrown), { cause: thrown, originalCode: codeOfThrown(thrown) })
}

/** Converts any thrown value to error data. Never throws. */
export const errorData = (thrown: unknown, code: ErrorCode): ErrorData => dataOf(toTidingsError(thrown, code))

/** Like {@link errorData}, with the stack, for events on the log. Never throws. */
export function failureData(thrown: unknown, code: ErrorCode): ErrorData {
  const stack = stackOf(thrown)
  return { ...errorData(thrown, code), ...(stack !== undefined && { stack }) }
}

/** Event data without the stack of its error, which depends on where the code is installed. */
export function withoutStack(data: unknown): unknown {
  const error = (data as { error?: Partial<ErrorData> | null } | null)?.error
  if (typeof error !== 'object' || error === null || error.stack === undefined) return data
  const { stack: _, ...rest } = error
  return { ...(data as object), error: rest }
}

/** Bounds error data from a program or a worker; converts any other value to error data with the given code. */
export function checkedErrorData(given: unknown, code: ErrorCode): ErrorData {
  try {
    const unchecked = given as Partial<Record<keyof ErrorData, unknown>>
    const { code: own, message, next, retryable, originalCode, stack } = unchecked
    if (typeof own === 'string' && own !== '' && typeof message === 'string')
      return {
        code: own.slice(0, maxCodeText),
        message: truncateText(message),
        ...(typeof next === 'string' && { next: truncateText(next) }),
        ...(typeof retryable === 'boolean' && { retryable }),
        ...(typeof originalCode === 'string' && { originalCode: originalCode.slice(0, maxCodeText) }),
        ...(typeof stack === 'string' && { stack: truncateStack(stack) }),
      }
  } catch {
    // A getter threw: describe the value like any other.
  }
  return errorData(given, code)
}

/** The text of any thrown value, at most 4,096 characters. Never throws. */
export const textOf = describeThrown

/** The message may have been assigned after construction, so it is truncated again. */
const dataOf = ({ code, message, next, retryable, originalCode, data }: TidingsError): ErrorData => ({
  code,
  message: truncateText(message),
  next,
  retryable,
  ...(originalCode !== undefined && { originalCode }),
  ...(data && { data }),
})

/** Whether this is a TidingsError whose fields can be read. */
function isIntact(thrown: unknown): thrown is TidingsError {
  try {
    return (
      thrown instanceof TidingsError &&
      Object.hasOwn(errors, thrown.code) &&
      typeof thrown.message === 'string' &&
      typeof thrown.next === 'string' &&
      typeof thrown.retryable === 'boolean' &&
      (thrown.originalCode === undefined || typeof thrown.originalCode === 'string')
    )
  } catch {
    return false
  }
}
