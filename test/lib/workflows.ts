import { resultId } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { eventsOf } from './world.ts'

/** What happens in one correlation, seen by a workflow of this name. */
export class Story {
  readonly running: RunningApp
  readonly workflow: string
  readonly correlation: string

  constructor(running: RunningApp, workflow: string, correlation: string = crypto.randomUUID()) {
    this.running = running
    this.workflow = workflow
    this.correlation = correlation
  }

  /** Publishes, and waits until a turn has taken it or it was said to be late. */
  async tell(type: string, data: unknown = null, id: string = crypto.randomUUID()): Promise<string> {
    await this.running.bus.publish({ type, data, id, correlationid: this.correlation })
    await this.heard(id)
    return id
  }

  /** The same event again: published twice, and delivered once more by a broker that has forgotten it. */
  async again(id: string): Promise<void> {
    const { bus } = this.running
    const event = (await bus.get(id, this.correlation))!
    const { type, data } = event
    await bus.publish({ type, data, id, correlationid: this.correlation })
    const copy = { type: 'workflow.event', target: this.workflow, subject: type, correlationid: this.correlation }
    const { id: other } = await bus.publish({ ...copy, data: { event } })
    await until(async () => (await this.isOver()) || (await this.turnInputs()).includes(other))
  }

  async heard(id: string): Promise<void> {
    await until(async () => (await this.turnInputs()).includes(id) || (await this.late()).includes(id))
  }

  events(): Promise<CloudEvent[]> {
    return eventsOf(this.running, this.correlation)
  }

  async turnInputs(): Promise<string[]> {
    const turns = (await this.events()).filter(({ type }) => type === 'task.turn')
    const whole = await Promise.all(turns.map(turn => this.running.bus.resolve(turn)))
    return whole.flatMap(({ data }) => (data as { inputs: CloudEvent[] }).inputs.map(({ id }) => id))
  }

  /** The ids of the events that were late. */
  async late(): Promise<string[]> {
    return (await this.events()).flatMap(({ type, subject }) => (type === 'workflow.late' ? [subject!] : []))
  }

  async isOver(): Promise<boolean> {
    return (await this.events()).some(event => this.#isEnd(event))
  }

  /** What becomes of it: its output, or the code of its error. */
  async end(): Promise<unknown> {
    const found = await until(async () => (await this.events()).find(event => this.#isEnd(event)))
    const { output, error, reason } = found.data as { output?: unknown; error?: { code: string }; reason?: string }
    return error?.code ?? reason ?? output
  }

  /** The requests of a type, once there are so many. */
  asked(type: string, count = 1): Promise<CloudEvent[]> {
    return until(async () => {
      const found = (await this.events()).filter(event => event.type === type)
      return found.length >= count && found
    })
  }

  async answer(call: CloudEvent, output: unknown, id: string = resultId(call.id)): Promise<void> {
    await this.#reply('tool.result', call, { output }, id)
  }

  async refuse(call: CloudEvent): Promise<void> {
    await this.#reply('tool.failed', call, { error: { code: 'E_TOOL_THREW', message: 'no' } }, resultId(call.id))
  }

  async #reply(type: string, { id: call }: CloudEvent, data: unknown, id: string) {
    const { correlation: correlationid, workflow: target } = this
    await this.running.bus.publish({ id, type, call, target, correlationid, data })
  }

  #isEnd({ type, source }: CloudEvent) {
    return /^agent\.task\.(completed|failed|cancelled)$/.test(type) && source === `/workflows/${this.workflow}`
  }
}
