import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'

/** A tap in a process of its own, on a port that it keeps over its restarts. */
export class Tap {
  readonly port: number
  /** What it printed. */
  output = ''
  readonly #command: (port: number) => readonly string[]
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | undefined

  private constructor(port: number, command: (port: number) => readonly string[], env: NodeJS.ProcessEnv) {
    this.port = port
    this.#command = command
    this.#env = env
  }

  /** `command` with its arguments runs in this Node. */
  static async start(command: (port: number) => readonly string[], env: NodeJS.ProcessEnv): Promise<Tap> {
    const tap = new Tap(await freePort(), command, env)
    await tap.start()
    return tap
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [...this.#command(this.port)], {
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()))
    await until(() => child.exitCode !== null || accepts(this.port), { within: 60_000, what: 'the tap to listen' })
    if (child.exitCode !== null) throw new Error(`the tap ended with ${child.exitCode}: ${this.output}`)
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** Ends it and waits for its end: the exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
    const ended = once(child, 'close')
    child.kill(signal)
    await ended
    return child.exitCode
  }
}

const accepts = (port: number) =>
  new Promise<boolean>(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.end())
  })
