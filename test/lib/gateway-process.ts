import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { freePort } from '../../src/testing/ports.ts'

interface Place {
  readonly home: string
  readonly bus: string
}

/** A gateway in a process of its own, which the test kills and starts again at the same address. */
export class GatewayProcess {
  readonly url: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  private constructor({ home, bus }: Place, port: number) {
    this.url = `http://127.0.0.1:${port}`
    this.#args = [home, bus, String(port)]
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
    await Promise.race([once(this.#child, 'message'), exit])
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
