import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { onTestFinished } from 'vitest'
import type { CloudEvent } from '../../../src/event.ts'
import { openBus } from '../../../src/runtime/environment.ts'
import { freePort } from '../../../src/testing/ports.ts'
import { until } from '../../../src/testing/wait.ts'

const cli = join(import.meta.dirname, '../../../src/cli/main.ts')
const story = join(import.meta.dirname, 'story.ts')

export type LogLine = { level: string; message: string; [field: string]: unknown }

export interface Worker {
  readonly pid: number
  /** What it wrote to the standard error. */
  log(): LogLine[]
  stop(): Promise<void>
  kill(): Promise<void>
}

type Ports = Record<'TIDINGS_PORT' | 'TIDINGS_SMTP_PORT', string>

/** A log, and processes that work the story on it. All of it is gone after the test. */
export class House {
  readonly home: string
  readonly #ports: Ports
  readonly #children: ChildProcess[] = []

  static async open(): Promise<House> {
    const home = await mkdtemp(join(tmpdir(), 'tidings-telemetry-'))
    const [TIDINGS_PORT, TIDINGS_SMTP_PORT] = [String(await freePort()), String(await freePort())]
    return new House(home, { TIDINGS_PORT, TIDINGS_SMTP_PORT })
  }

  private constructor(home: string, ports: Ports) {
    this.home = home
    this.#ports = ports
    onTestFinished(async () => {
      await Promise.all(this.#children.map(kill))
      await rm(home, { recursive: true, force: true })
    })
  }

  get gateway() {
    return `http://127.0.0.1:${this.#ports.TIDINGS_PORT}`
  }

  /** Resolves when it serves. */
  async worker(only: string, env: Record<string, string> = {}): Promise<Worker> {
    const child = spawn(process.execPath, [cli, 'run', story, '--only', only, '--json'], {
      env: { ...process.env, TIDINGS_HOME: this.home, ...this.#ports, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.push(child)
    let [out, said] = ['', '']
    child.stdout.on('data', chunk => (out += chunk))
    child.stderr.on('data', chunk => (said += chunk))
    await until(() => out.includes('"ready"') || child.exitCode !== null, { within: 20_000 })
    if (child.exitCode !== null) throw new Error(said)
    return {
      pid: child.pid!,
      log: () =>
        said
          .split('\n')
          .filter(line => line.startsWith('{'))
          .map(line => JSON.parse(line) as LogLine),
      async stop() {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      },
      kill: () => kill(child),
    }
  }

  async mail(subject: string): Promise<void> {
    const transport = createTransport({
      host: '127.0.0.1',
      port: Number(this.#ports.TIDINGS_SMTP_PORT),
      ignoreTLS: true,
    })
    await transport.sendMail({ from: 'ann@example.org', to: 'desk@example.org', subject, text: 'Please.' })
  }

  /** Publishes by the gateway; the correlation. */
  async post(event: object, headers: Record<string, string> = {}): Promise<string> {
    const response = await fetch(`${this.gateway}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(event),
    })
    return ((await response.json()) as { correlationid: string }).correlationid
  }

  /** All that is on the log, when so many tasks have ended. */
  async events(tasks: number): Promise<CloudEvent[]> {
    const bus = await openBus({ home: this.home, bus: 'sqlite' })
    try {
      return await until(
        async () => {
          const events = await Array.fromAsync(bus.read({}), ({ event }) => bus.resolve(event))
          return events.filter(({ type }) => /^agent\.task\.(completed|failed)$/.test(type)).length >= tasks && events
        },
        { within: 20_000, what: `${tasks} tasks that ended` },
      )
    } finally {
      await bus.driver.close()
    }
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
