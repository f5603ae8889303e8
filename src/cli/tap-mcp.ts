import { randomUUIDv7 } from 'node:crypto'
import { constants } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { failure, textOf, TidingsError } from '../errors.ts'
import { McpTap } from '../taps/mcp/mcp-tap.ts'
import { McpObserver } from '../taps/mcp/observer.ts'
import { runBehindTap, type ServerExit } from '../taps/mcp/stdio.ts'
import { ToolCallRecorder } from '../taps/mcp/tool-calls.ts'
import type { Recorder } from '../taps/recorder.ts'
import type { CallOrigin } from '../taps/request-origin.ts'
import { envWithoutFile } from './env-file.ts'
import { usageError } from './output.ts'
import { reportUnrecorded, tapLog, type TapLog } from './tap-log.ts'
import { runTapProxy, type TapProxyOptions } from './tap-proxy.ts'

export interface TapMcpOptions extends Omit<TapProxyOptions, 'upstream'> {
  upstream?: string
  user?: string
}

/** How long the first connection to the log may take when the server has ended. */
const graceMs = 3_500

export async function tapMcpCommand(command: readonly string[], options: TapMcpOptions): Promise<void> {
  const { upstream } = options
  const [file, ...args] = command
  if ((file === undefined) === (upstream === undefined))
    throw usageError('expected the command of an MCP server, as in -- npx some-server, or --upstream URL')
  if (upstream !== undefined) return runTapProxy({ ...options, upstream }, recorder => new McpTap(recorder, options))
  const log = await tapLog(options.name, options.app)
  const started = log.start()
  const exit = await runServer([file!, ...args], log.recorder, options.user).catch(async (error: unknown) => {
    await flush(log, started)
    throw new TidingsError('E_TAP_COMMAND', `"${file}" cannot be started: ${textOf(error)}`)
  })
  await flush(log, started)
  reportUnrecorded(log.recorder.status)
  endAs(exit)
}

/** Runs an MCP server in the place of this process: standard input and output are those of the protocol. */
async function runServer(
  [command, ...args]: readonly [string, ...string[]],
  recorder: Recorder,
  user: string | undefined,
): Promise<ServerExit> {
  // The client may close the pipe at any time; what it called before is still recorded.
  process.stdout.removeAllListeners('error')
  const origin: CallOrigin = { correlationid: randomUUIDv7(), ...(user !== undefined && { user }) }
  const calls = new ToolCallRecorder(recorder)
  const observer = new McpObserver<CallOrigin>(calls)
  const exit = await runBehindTap({
    command,
    args,
    env: envWithoutFile(),
    stdin: process.stdin,
    stdout: process.stdout,
    fromClient: message => observer.fromClient(message, { scope: '', origin }),
    fromServer: message => observer.fromServer(message, ''),
    requestsDurable: () => calls.requestsDurable(origin),
    onUnread: why => process.stderr.write(`tidings tap: a message was forwarded and not recorded: ${why}\n`),
  })
  observer.interrupt(failure('E_TAP_INTERRUPTED', 'the server ended before it had answered'))
  return exit
}

/** Writes what waits. A client ends a process that does not end by itself after some seconds, so a log that is away is not waited for. */
async function flush({ recorder, close }: TapLog, started: Promise<void>): Promise<void> {
  process.on('SIGTERM', () => {})
  const isOk = () => recorder.status.log === 'ok'
  if (!isOk()) await Promise.race([started, pause(graceMs)])
  if (isOk()) await close()
}

/** Ends this process as the server has ended. */
function endAs(exit: ServerExit): void {
  if ('code' in exit) process.exit(exit.code)
  process.removeAllListeners(exit.signal)
  process.kill(process.pid, exit.signal)
  // Not every signal ends a process.
  setTimeout(() => process.exit(128 + constants.signals[exit.signal]), 1_000)
}
