import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { freePort } from '../../src/testing/ports.ts'

interface Place {
  readonly home: string
  readonly bus: string
  /** A file. Without it, the console needs the key of its address. */
  readonly policy?: string
}

/** A gateway in a process of its own, which the test kills and starts again at the same address. */
export class GatewayProcess {
  readonly url: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #console = ''

  private constructor({ home, bus, policy }: Place, port: number) {
    this.url = `http://127.0.0.1:${port}`
    this.#args = [home, bus, String(port), ...(policy === undefined ? [] : [policy])]
  }

  /** The address of its console, as it prints it. */
  get console(): string {
    return this.#console
  }

  static async open(place: Place): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(place, await freePort())
    onTestFinished(() => gateway.kill())
    await gateway.start()
    return gateway
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    this.#child = fork(new URL('gateway-child.ts', import.meta.url), this.#args)
    const exit = once(this.#child, 'exit').then(([code]) =>
      Promise.reject(new Error(`the gateway exited with ${code}`)),
    )
    exit.catch(() => {})
    const [console] = (await Promise.race([once(this.#child, 'message'), exit])) as [string]
    this.#console = console
  }

  /** `kill -9`. Resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
}
