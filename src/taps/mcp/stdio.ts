import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { describeThrown } from '../../thrown.ts'
import { messagesIn, type JsonRpcMessage } from './json-rpc.ts'
import { LineReader } from '../line-reader.ts'

/** How the process of the server ended. */
export type ServerExit = { readonly code: number } | { readonly signal: NodeJS.Signals }

export interface StdioTapOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** The client. */
  readonly stdin: Readable
  readonly stdout: Writable
  /** Sees the messages of the client, which are those of one connection. */
  readonly fromClient: (message: JsonRpcMessage) => void
  readonly fromServer: (message: JsonRpcMessage) => void
  /** Resolves when what the client asked is durable, or has waited long enough. Until then nothing of the server is passed on. */
  readonly requestsDurable: () => Promise<unknown> | undefined
  /** A message could not be read. */
  readonly onUnread: (why: string) => void
}

type Server = ChildProcessByStdio<Writable, Readable, null>

/** A longer message is forwarded and not read. */
const maxMessageBytes = 64 * 1024 * 1024
const forwarded = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const

/**
 * Runs an MCP server and passes the bytes between it and its client on, unchanged. The server writes to the same stderr. Resolves when it has
 * ended and all of its output was passed on.
 * @throws the error of the system if the command cannot be started
 */
export async function runBehindTap(options: StdioTapOptions): Promise<ServerExit> {
  const { command, args, env, stdin, stdout, requestsDurable } = options
  const server = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  await once(server, 'spawn')
  const stopForwarding = forwardSignals(server)
  const exited = once(server, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const fromClient = messageReader(options.fromClient, options.onUnread)
  const fromServer = messageReader(options.fromServer, options.onUnread)
  void pass(stdin, server.stdin, chunk => fromClient.push(chunk)).then(() => server.stdin.end())
  await pass(server.stdout, stdout, chunk => fromServer.push(chunk), requestsDurable)
  const [code, signal] = await exited
  stopForwarding()
  return signal === null ? { code: code ?? 0 } : { signal }
}

/** Reads messages, one a line. Nothing that a message contains may stop what is forwarded. */
function messageReader(seen: (message: JsonRpcMessage) => void, onUnread: (why: string) => void): LineReader {
  const read = (line: string) => {
    for (const message of messagesIn(line))
      try {
        seen(message)
      } catch (error) {
        onUnread(describeThrown(error))
      }
  }
  return new LineReader(maxMessageBytes, read, () => onUnread(`a message is longer than ${maxMessageBytes} bytes`))
}

/** Passes on what is read until either side ends. The bytes are seen after they were written, before the other side can answer them. */
async function pass(
  from: Readable,
  to: Writable,
  seen: (chunk: Buffer) => void,
  ready: () => Promise<unknown> | undefined = () => undefined,
): Promise<void> {
  let isClosed = false
  to.once('close', () => (isClosed = true)).on('error', () => (isClosed = true))
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      await ready()
      if (isClosed) return
      const isFull = !to.write(chunk)
      seen(chunk)
      if (isFull && !isClosed) await drained(to)
    }
  } catch {
    // A broken pipe ends the connection, as it does without a tap.
  }
}

function drained(to: Writable): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      to.off('drain', done).off('close', done)
      resolve()
    }
    to.on('drain', done).on('close', done)
  })
}

function forwardSignals(server: Server): () => void {
  const handlers = forwarded.map(signal => [signal, () => void server.kill(signal)] as const)
  for (const [signal, handler] of handlers) process.on(signal, handler)
  return () => handlers.forEach(([signal, handler]) => process.off(signal, handler))
}
