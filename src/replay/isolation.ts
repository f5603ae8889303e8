import childProcess from 'node:child_process'
import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import workerThreads from 'node:worker_threads'
import { TidingsError } from '../errors.ts'
import { addHint } from './nondeterminism.ts'

/*
 * Isolates the code of an app during a replay. Node's permissions cover files, processes, threads, the inspector and add-ons, but
 * neither the network nor node:sqlite, so their functions are replaced before the first line of the app runs. Files, databases and
 * add-ons are blocked only after the app has loaded, because many apps open what their tools need while they load.
 */

// An import would bind the original class for later importers too.
const sqlite = process.getBuiltinModule('node:sqlite')
const { DatabaseSync, StatementSync } = sqlite
let areFilesClosed = false

/** Node options of a replay process. */
export const permissions = [
  '--permission',
  '--allow-fs-read=*',
  '--allow-fs-write=*',
  '--allow-addons',
  // Loaders such as tsx run in a thread of their own.
  '--allow-worker',
  // Add-ons and threads are allowed while the app loads, and Node warns about both.
  '--disable-warning=PERM0001',
  '--disable-warning=PERM0006',
]

/** Blocks sockets, name lookups, other processes and threads for this process. A blocked call throws E_REPLAY_ISOLATED. */
export function isolate(): void {
  blockAll(net.Socket.prototype, ['connect'], 'a connection was opened')
  blockAll(net.Server.prototype, ['listen'], 'a port was opened')
  blockAll(dgram.Socket.prototype, ['bind', 'connect', 'send'], 'a socket was opened')
  for (const resolver of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype])
    blockAll(resolver, namesIn(resolver, /^(lookup|resolve|reverse)/), 'a name was looked up')
  blockAll(childProcess, namesIn(childProcess, /^(spawn|exec|fork)/), 'a process was started')
  blockAll(workerThreads, ['Worker'], 'a thread was started')
  blockAll(process, ['exit', 'reallyExit', 'abort', 'kill'], 'a process was ended')
  globalThis.fetch = function fetch() {
    addHint('outside', 'fetch() was called', fetch)
    return Promise.reject(refusalOf('fetch() was called'))
  }
  guardDatabases()
  syncBuiltinESMExports()
}

/** Blocks file writes, workers, add-ons and databases for this process. */
export function closeFiles(): void {
  const permission = process.permission as unknown as { drop(scope: string): void }
  for (const scope of ['fs.write', 'worker', 'addon']) permission.drop(scope)
  areFilesClosed = true
  for (const prototype of [DatabaseSync.prototype, StatementSync.prototype])
    blockAll(prototype, namesIn(prototype, /^(?!close$|constructor$)/), 'a database was used')
}

/** Allows databases to be opened until `closeFiles`. Later importers of node:sqlite get this class. */
function guardDatabases(): void {
  class GuardedDatabase extends DatabaseSync {
    constructor(...given: ConstructorParameters<typeof DatabaseSync>) {
      if (areFilesClosed) opened()
      super(...given)
    }
  }
  const opened = blocker('a database was opened')
  Object.assign(sqlite, { DatabaseSync: GuardedDatabase })
}

/** Turns an error of Node's permission model into E_REPLAY_ISOLATED; returns any other error unchanged. */
export function asRefusal(error: unknown): unknown {
  const { code, permission, resource } = (error ?? {}) as { code?: unknown; permission?: string; resource?: string }
  if (code !== 'ERR_ACCESS_DENIED') return error
  const what =
    permission === 'FileSystemWrite' ? 'a file was written' : `${permission || 'an internal of Node'} was used`
  const refusal = refusalOf(`${what}${resource ? ` (${resource})` : ''}`)
  refusal.stack = (error as Error).stack ?? ''
  return refusal
}

const refusalOf = (what: string) => new TidingsError('E_REPLAY_ISOLATED', `${what} during a replay`)

function blocker(what: string) {
  return function refused() {
    addHint('outside', what, refused)
    throw refusalOf(what)
  }
}

function blockAll(of: object, names: readonly string[], what: string): void {
  for (const name of names)
    Object.defineProperty(of, name, { value: blocker(what), configurable: true, writable: true })
}

function namesIn(of: object, pattern: RegExp): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(of)).flatMap(([name, { value }]) =>
    pattern.test(name) && typeof value === 'function' ? [name] : [],
  )
}
