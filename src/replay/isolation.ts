import childProcess from 'node:child_process'
import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import { TidingsError } from '../errors.ts'

/*
 * The permissions of Node 24 do not cover the network, so what opens a connection is taken away by hand: for this thread,
 * whose built-in modules are its own, and before the first line of the app runs.
 */

/** From now on this thread reaches nothing: no socket, no name, no other process. What tries throws E_REPLAY_ISOLATED. */
export function isolate(): void {
  const refuse = (what: string) => () => {
    throw new TidingsError('E_REPLAY_ISOLATED', `${what} during a replay`)
  }
  Object.assign(net.Socket.prototype, { connect: refuse('a connection was opened') })
  Object.assign(net.Server.prototype, { listen: refuse('a port was opened') })
  Object.assign(dgram.Socket.prototype, { bind: refuse('a socket was opened'), send: refuse('a packet was sent') })
  for (const name of Object.keys(dns).filter(key => /^(lookup|resolve|reverse)/.test(key)))
    Object.assign(dns, { [name]: refuse('a name was looked up') })
  for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork'])
    Object.assign(childProcess, { [name]: refuse('a process was started') })
  syncBuiltinESMExports()
}
