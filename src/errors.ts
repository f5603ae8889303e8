import { truncateStack, stackOf } from './stack.ts'
import { codeOfThrown, truncateText, describeThrown, maxCodeText } from './thrown.ts'

/** Every error that a user can meet: what it means and what to do next. */
export const errors = {
  E_EVENT_INVALID: 'The event is not valid. Correct the named attribute; docs/wire-format.md is the reference.',
  E_VALUE_INVALID:
    'A value that goes to the log must be JSON. Convert what the path names; docs/values.md lists what is taken and what is refused.',
  E_EVENT_TOO_LARGE: 'The event is larger than the bus accepts. Put large content into a blob and send its reference.',
  E_BUS_UNKNOWN:
    'No driver is known for the scheme of TIDINGS_BUS. Leave it unset for the embedded log, use nats://HOST:PORT/LOG, or register a driver (docs/custom-driver.md).',
  E_BUS_CLOSED: 'The bus is closed. Publish before app.stop(), or start the app again.',
  E_LOG_UNAVAILABLE:
    'The log could not be used; nothing of this call was stored. Check that the broker runs and has room, or the disk space and permissions of TIDINGS_HOME.',
  E_LOG_REPLACED:
    'The files of the log were removed or replaced while a process had them open; nothing of this call was stored. Stop every process on this TIDINGS_HOME, put its files back (all that were there, together), and start again; without them the log begins empty.',
  E_LOG_INCOMPLETE:
    'Events that were acknowledged are not on the log any more. Put log.db and log.db-wal back as they were, both of the same moment. The text says how to go on without what is missing; what was done because of it may then be done again.',
  E_LOG_UNANSWERED:
    'The broker did not answer in time: whether the call was stored is not known. Doing it again under the same id is harmless.',
  E_BUS_DENIED:
    'The broker refused the credentials, or does not allow what they want. docs/nats.md lists the permissions that each role needs.',
  E_BUS_VERSION: 'The broker is too old or lacks JetStream. `tidings broker nats` runs one that will do.',
  E_LOG_READ_ONLY:
    'What only reads the log cannot write to it. Open the log with openBus() or start() without readOnly.',
  E_LOG_VERSION: 'The log was written by a newer Tidings. Upgrade this installation or point TIDINGS_HOME elsewhere.',
  E_INDEX_UNAVAILABLE:
    'The index of the log cannot be read or written. Check the disk space and the permissions of TIDINGS_HOME; it may be deleted at any time, and is built anew.',
  E_BLOB_MISSING: 'The blob is not there. It was purged with its events, or it belongs to another tenant.',
  E_APP_INVALID:
    'The app cannot be used as it is written: correct what the message says. The default export of its file must be app({ use: [...] }).',
  E_APP_NAME_TAKEN:
    'Two members of the app carry one name. Names of agents, tools and models must be unique among their kind.',
  E_AGENT_TAKEN:
    'Two apps on one log cannot host agents or workflows of one name. Rename one of the two, give one app a log of its own, or stop the workers of the other app: the name then goes to the app that starts next.',
  E_PORT_IN_USE:
    'The port is taken. Choose another (TIDINGS_PORT, TIDINGS_SMTP_PORT, TIDINGS_WEBHOOK_PORT, tidings broker nats --port), or start without it: tidings run --only agents,tools,models.',
  E_BROKER_MISSING:
    'There is no server to start. Install nats-server 2.12 or newer, or Go, which builds one; or name a binary: TIDINGS_NATS_SERVER.',
  E_BROKER_FAILED: 'The broker did not start, or ended. The text says why.',
  E_PROGRAM_MISMATCH:
    'The code no longer fits the recorded turns of this task. Run the version that wrote them, then `tidings retry TASK`; or go on with this code from before the misfit, as a new task: `tidings fork --from TASK@TURN`.',
  E_PROGRAM_UNKNOWN:
    'No agent of this worker handles the event, which is addressed to this app. Deploy the version of the app that does, or `tidings attention discard ID`.',
  E_PROGRAM_VERSION:
    'This worker has an older version of the program than the one that wrote the task. Deploy the newer version.',
  E_PROGRAM_FAILED:
    'The code of the agent threw, and its task failed. Fix the code, then `tidings retry TASK` goes on from there; `tidings redrive` begins once more.',
  E_SCRIPT_FOREIGN_AWAIT:
    'A run() agent awaited something that is not of ctx. Move the work into a tool and await ctx.call(tool, input).',
  E_SCRIPT_UNAWAITED:
    'A run() agent returned without awaiting what it called. Write `await` in front of the call, or keep its promise and await it later.',
  E_TURN_TOO_LARGE:
    'One turn of a task asked for more than a turn can hold. Ask for less at a time: wait for some of the answers before the next calls, and send references to blobs in place of large content.',
  E_RETRY_REFUSED:
    'This task cannot be retried; the text says why. `tidings fork --from TASK@TURN` goes on from an earlier turn with the effects that you allow, `tidings redrive` repeats what came from outside.',
  E_REPLAY_DENIED:
    'A redrive or a fork does only what it may. The text names the option of `tidings redrive` or `tidings fork` that allows it.',
  E_REPLAY_UNRECORDED:
    'Nobody was asked this then, or nobody answered. Give the answer yourself, --stub NAME=FILE.json, or allow the call: --effects NAME=live.',
  E_TASK_CANCELLED: 'The task was cancelled.',
  E_TASK_MOVED: 'Another worker owns the shard of this task now. It retries the delivery; there is nothing to do.',
  E_JOURNAL_BEHIND:
    'The log does not show the turn that this answers yet. The worker retries; if it goes on, check the replicas of the broker.',
  E_PAUSED: 'The agent, tool or model is paused. `tidings resume KIND NAME` continues it and delivers what was kept.',
  E_REASON_UNKNOWN: 'An older version of Tidings stored this entry, without a code. Its message says what happened.',
  E_TASK_HOPS:
    'The chain of tasks is longer than the hop limit. Two subscribers may be feeding each other; `tidings trace` shows the loop.',
  E_TASK_TURNS: 'A run() agent took more turns than its history may hold. Continue with ctx.continueAs(input).',
  E_BUDGET_EXCEEDED:
    'The budget of this correlation is spent; the text says which limit. Look at `tidings trace` for a loop, or raise it in app({ budget }).',
  E_CALL_EXPIRED:
    'Nobody answered the call within its bound. Check that a worker hosts the target; `tidings attention` lists what waits.',
  E_WORKFLOW_EXPIRED:
    'What a workflow waited for has not come within its bound. Give the step an `otherwise`, or more time.',
  E_WORKFLOW_UNMATCHED: 'Something came that the pattern says must not come. Give the step an `otherwise`.',
  E_WORKFLOW_VALUE:
    'A workflow came upon a value that the step cannot use. The text names it; `tidings trace` shows where it came from.',
  E_WORKFLOW_FAILED: 'The workflow says that it failed: a step of it is fail(). The text is its own.',
  E_TOOL_UNKNOWN: 'The agent has no tool of this name.',
  E_TOOL_INPUT: 'The input does not fit the schema of the tool.',
  E_TOOL_OUTPUT:
    'The tool returned something that does not fit its output schema, or is not JSON. docs/values.md lists what is.',
  E_TOOL_TIMEOUT: 'The tool ran longer than its timeout.',
  E_TOOL_THREW:
    'The tool threw an error. Fix its code, give it `retry` if the error passes by itself, or catch the error where the agent calls it.',
  E_APPROVAL_DENIED: 'A person was asked whether the tool may run, and said no. The text says who, and why.',
  E_APPROVAL_FORBIDDEN: 'Only those whom the approval names may answer it. Ask one of them.',
  E_APPROVAL_CHANGED:
    'What was approved is not what is asked, or not what the tool would be called with now. Ask again, and look again: `tidings approvals`.',
  E_APPROVAL_ANSWERED: 'The approval was answered before, and the first answer holds. `tidings trace` shows it.',
  E_CREDENTIAL_UNKNOWN:
    'No credential that the gateway knows came with the request. TIDINGS_APPROVERS names the file of those who may answer; docs/approval.md.',
  E_APPROVAL_OVER: 'Nobody waits for the answer any more. Whoever asked must ask anew.',
  E_TOOL_OUTCOME_UNKNOWN:
    'An atMostOnce tool was started and its end was not recorded. Find out what happened. A retry does not start it again; `tidings fork --stub tool/NAME=FILE.json` goes on with the answer that you give.',
  E_WORKER_LOST:
    'The call takes its worker down with it. Look at what it does to the process: memory, exit, a native crash.',
  E_WORKER_STOPPED:
    'The worker was stopped, and this took longer than it waits. Another worker begins it again; TIDINGS_STOP_WITHIN says how long.',
  E_MODEL_UNKNOWN:
    'TIDINGS_MODEL names no known model. Use openai/NAME, anthropic/NAME, google/NAME, a base URL with #NAME, or leave it unset for the offline model.',
  E_MODEL_KEY: 'The key of the model provider is not set. Export the variable named in the text.',
  E_MODEL_FAILED:
    'The model provider answered with an error. The text is its own: look at the request, the name of the model and the account.',
  E_MODEL_UNAVAILABLE:
    'The model provider was busy or away for as long as the call is retried. Look at its status page; model(…, { retry: { retryFor } }) says how long.',
  E_MODEL_OUTPUT: 'The model did not produce output of the declared shape, also when asked again.',
  E_MODEL_LENGTH:
    'The model reached its limit of output tokens before its answer was whole. Raise maxOutputTokens of the model, ask for less, or say what to do: agent({ finish: { length } }).',
  E_MODEL_FILTERED:
    "The provider's content filter stopped the answer. Look at the input; agent({ finish: { filtered: 'accept' } }) takes what there is.",
  E_MODEL_REFUSED:
    "The model refused to answer. Look at the input and the instructions; agent({ finish: { refused: 'accept' } }) takes its words as the answer.",
  E_MODEL_EMPTY:
    "The model gave neither text nor a tool call, also when asked again. Sharpen the instructions; agent({ finish: { empty: 'accept' } }) takes it as the answer.",
  E_MODEL_UNFINISHED:
    "The model stopped for a reason that does not say that its answer is whole. If your provider means that it is: agent({ finish: { other: 'accept' } }).",
  E_AGENT_STEPS: 'The agent used up its steps without an answer. Raise maxSteps or sharpen the instructions.',
  E_MAIL_REFUSED: 'The mail was refused. The SMTP answer says why.',
  E_TRIGGER_SILENT:
    'No event came of the trigger. Check that a worker runs it (`tidings run`) on this log; or send it something yourself, and watch `tidings tail`.',
  E_REQUEST_INVALID: 'The request is not valid. Correct what the text names.',
  E_REQUEST_TOO_LARGE: 'The request body is larger than is accepted. The text says how much is.',
  E_SIGNATURE_INVALID:
    'The request is not signed as the endpoint asks for. Check the secret on both sides, the clocks, and that nothing on the way changes the body.',
  E_BUSY: 'Too much is under way at once. Nothing of this was stored: come again in a moment.',
  E_NOT_FOUND:
    'Nothing has this name, id or path. Check the spelling; a command looks in the log of TIDINGS_HOME or TIDINGS_BUS.',
  E_AMBIGUOUS: 'Several things have an id that ends like this. The text lists them: give more of the id.',
  E_SLICE_INVALID:
    'This is no whole slice of a log, or it was changed. Export it anew; docs/fixtures.md describes the format.',
  E_IMPORT_NOT_EMPTY:
    'A slice is imported into an empty log only. Use another TIDINGS_HOME, or another log of the broker.',
  E_IMPORT_PARTIAL:
    'What an import that was cut short left must not come to life. Remove the log, and import again into an empty one.',
  E_REPLAY_ISOLATED:
    'A replay reaches no network, starts no process or thread and writes no file. What does so belongs into a tool, not into the code that decides.',
  E_ACCEPT_INVALID:
    'The file of accepted divergences cannot be read. `tidings replay --accept FILE --update` writes it.',
  E_SETTING_INVALID: 'A setting cannot be used. Correct the value that the text names.',
  E_TELEMETRY_MISSING:
    'Spans and metrics are exported by packages that are not installed. Install what the text names, or unset OTEL_EXPORTER_OTLP_ENDPOINT.',
  E_MQTT_MISSING: 'The MQTT trigger needs a package that is not installed: npm install mqtt.',
  E_MQTT_REFUSED:
    'The MQTT broker cannot be used like this, and waiting will not mend it. The text says why: credentials, certificates, client id, version or topics.',
  E_INTERNAL: 'This is a bug of Tidings. Set TIDINGS_DEBUG=1 for the stack, and report it.',
  E_USAGE: 'The command cannot be understood. `tidings --help` lists the verbs.',
} as const

export type ErrorCode = keyof typeof errors

/** The only error class of Tidings: `code` is for programs, `message` says what happened, `next` what to do. */
export class TidingsError extends Error {
  override readonly name = 'TidingsError'
  readonly code: ErrorCode
  readonly next: string
  /** Whether doing the same again may succeed. */
  readonly retryable: boolean
  /** The code that a foreign error had, such as `ECONNREFUSED`. */
  readonly originalCode?: string
  /** What a program needs to act on the error, such as the task and the turn to fork from. */
  readonly data?: ErrorDetails

  /** A detail beyond 4,096 characters is cut: an error always fits into an answer. */
  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; retryable?: boolean; originalCode?: string | undefined; data?: ErrorDetails } = {},
  ) {
    super(truncateText(detail), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.next = errors[code]
    this.retryable = options.retryable ?? false
    if (options.originalCode !== undefined) this.originalCode = options.originalCode
    if (options.data) this.data = options.data
  }

  toJSON(): ErrorData {
    return dataOf(this)
  }
}

export type ErrorDetails = Readonly<Record<string, string | number>>

/** The shape of an error inside events and HTTP answers: a few kilobytes, whatever was thrown. */
export interface ErrorData {
  code: string
  message: string
  next?: string
  retryable?: boolean
  /** The code that a foreign error had, or one of its causes, such as `ECONNREFUSED`. */
  originalCode?: string
  data?: ErrorDetails
  /** Frames of the user's code and of the causes, one a line. Only on the log: answers over HTTP do not have it. */
  stack?: string
}

/** Any thrown value as an error; foreign errors keep what they say, and their code as `originalCode`. Never throws. */
export function toTidingsError(thrown: unknown, code: ErrorCode): TidingsError {
  if (isIntact(thrown)) return thrown
  return new TidingsError(code, textOf(thrown), { cause: thrown, originalCode: codeOfThrown(thrown) })
}

/** Any thrown value as error data. Never throws. */
export const errorData = (thrown: unknown, code: ErrorCode): ErrorData => dataOf(toTidingsError(thrown, code))

/** The same with where in the user's code it was thrown: for the log. Never throws. */
export function failureData(thrown: unknown, code: ErrorCode): ErrorData {
  const stack = stackOf(thrown)
  return { ...errorData(thrown, code), ...(stack !== undefined && { stack }) }
}

/** The data of an event without the stack of its error: the same code may stand elsewhere, and decides the same. */
export function withoutStack(data: unknown): unknown {
  const error = (data as { error?: Partial<ErrorData> | null } | null)?.error
  if (typeof error !== 'object' || error === null || error.stack === undefined) return data
  const { stack: _, ...rest } = error
  return { ...(data as object), error: rest }
}

/** Error data that a program or a worker gave, bounded as ours is; anything else becomes error data under the given code. */
export function checkedErrorData(given: unknown, code: ErrorCode): ErrorData {
  try {
    const {
      code: own,
      message,
      next,
      retryable,
      originalCode,
      stack,
    } = given as Partial<Record<keyof ErrorData, unknown>>
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
    // A getter that throws: it is described as any other value.
  }
  return errorData(given, code)
}

/** What any thrown value says, in at most 4,096 characters. Never throws. */
export const textOf = describeThrown

/** Data of an error of ours. Its message may have been assigned since it was made. */
const dataOf = ({ code, message, next, retryable, originalCode, data }: TidingsError): ErrorData => ({
  code,
  message: truncateText(message),
  next,
  retryable,
  ...(originalCode !== undefined && { originalCode }),
  ...(data && { data }),
})

/** Whether this is an error of ours whose fields can be read. */
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
