import { deepStrictEqual } from 'node:assert/strict'
import type { Agent } from '../agents/agent.ts'
import { checkedData, createEvent, type CloudEvent, type Draft, type EventType } from '../event.ts'
import { TidingsError, type ErrorCode } from '../errors.ts'
import { resultId, taskId } from '../bus/ids.ts'
import { plainRedactor } from '../bus/redact.ts'
import { jsonOf } from '../json.ts'
import type { ModelResult } from '../tasks/conversation.ts'
import type { Machine, RecordedTurn } from '../tasks/program.ts'
import { stepType } from '../tasks/step-request.ts'
import { Task } from '../tasks/task.ts'
import { expiredAnswer } from '../tasks/engine-answers.ts'
import { TurnBuilder, type OpenCall } from '../tasks/turn.ts'
import type { ModelStep } from './scripted-model.ts'
import { subset } from './subset.ts'

/*
 * Given–when–then tests of agents, without a bus, a model or a clock:
 *
 *     await given(researcher, { input: 'What is a turn?' })
 *       .when(callTool('web.search', { q: 'turn' }))
 *       .emits([{ type: 'tool.invoke', target: 'web.search', data: { input: { q: 'turn' } } }])
 *
 * At the end the history is replayed into a new machine. Its state must equal that of the live one, so a program that is
 * not pure fails.
 */

/** How a scenario starts: a call of the agent, or an event. */
export type Start = { input: unknown } | { event: { type: string; data: unknown } }

/** The next event of a scenario, such as the answer to the oldest matching open call. */
export type ScenarioStep = (open: readonly OpenCall[], identity: Task['identity'], now: number) => CloudEvent

/** The expected fields of an emitted event. A field that is left out matches any value. */
export interface Expected {
  type: string
  target?: string
  data?: unknown
}

const correlationid = '01900000-0000-7000-8000-000000000000'
const epoch = Date.UTC(2026, 0, 1)

/**
 * The answer of a tool, an agent, or a step of the agent itself.
 * @example
 * await given(buyer, { input: { order: 'A1' } }).when(result('charge', { receipt: 'r1' })).emits([{ type: 'agent.task.completed' }])
 */
export const result = (target: string, output: unknown): ScenarioStep =>
  answer(target, ['tool.result', 'agent.task.completed'], { output })

/**
 * The failure of a tool, an agent or a step.
 * @example
 * await given(buyer, { input: { order: 'A1' } })
 *   .when(failed('charge', 'E_TOOL_THREW', 'card refused'))
 *   .emits([{ type: 'order.refused' }, { type: 'agent.task.completed' }])
 */
export const failed = (target: string, code: ErrorCode, message: string = code): ScenarioStep =>
  answer(target, ['tool.failed', 'agent.task.failed'], { error: new TidingsError(code, message).toJSON() })

/**
 * The oldest open call of this target times out. For a sleep the target is `timer`.
 * @example
 * await given(buyer, { input: { order: 'A1' } }).when(expires('timer')).emits([{ type: 'order.expired' }])
 */
export const expires =
  (target: string): ScenarioStep =>
  (open, identity, now) =>
    expiredAnswer(
      find(open, call => call.target === target, target),
      identity,
      now,
    )

/**
 * A request from outside cancels the task.
 * @example
 * await given(buyer, { input: { order: 'A1' } }).when(cancelled('no longer wanted')).emits([{ type: 'agent.task.cancelled' }])
 */
export const cancelled =
  (reason: string): ScenarioStep =>
  (_open, identity) =>
    createEvent({
      type: 'agent.cancel',
      target: identity.program,
      subject: identity.task,
      correlationid,
      data: { reason },
    })

/**
 * An event of the task's correlation comes, for which `ctx.waitFor` may wait. The data of a declared type is checked.
 * @throws E_EVENT_INVALID
 * @example
 * const waiting = given(helper, { input: 'A-17' }).when(arrives('order.paid', { order: 'A-17', amount: 5 }))
 */
export const arrives =
  <Given>(type: EventType<unknown, Given> | string, data: Given): ScenarioStep =>
  () =>
    recorded(
      typeof type === 'string'
        ? { type, correlationid, data }
        : { type: type.type, correlationid, data: checkedData(type, data) },
    )

/**
 * Starts a scenario.
 * @example
 * await given(helper, { input: 'When?' })
 *   .when(callTool('search', { query: 'when' }))
 *   .emits([{ type: 'tool.invoke', target: 'search', data: { input: { query: 'when' } } }])
 */
export function given(agent: Agent<never, unknown>, start: Start): Scenario {
  return new Scenario(agent, start)
}

/** A task that a test plays step by step: what happens to it, and what each turn emits. */
export class Scenario {
  readonly #agent: Agent<never, unknown>
  readonly #start: CloudEvent
  readonly #steps: ScenarioStep[] = []
  readonly #turns: RecordedTurn[] = []
  /** The last turn failed because the program threw: it has no state to compare. */
  #isFaulty = false

  constructor(agent: Agent<never, unknown>, start: Start) {
    this.#agent = agent
    const draft =
      'event' in start
        ? start.event
        : { type: 'agent.invoke', target: agent.name, replyto: 'test', data: { input: start.input } }
    this.#start = recorded({ id: 'start', correlationid, ...draft })
  }

  /**
   * What happens next, in order: answers of tools, agents and the model, timeouts, cancellations.
   * @example const events = await given(helper, { input: 'When?' }).when(reply('On Sunday.')).emitted()
   */
  when(...steps: (ScenarioStep | ModelStep)[]): this {
    this.#steps.push(...steps.map(step => (typeof step === 'function' ? step : modelAnswer(step))))
    return this
  }

  /** What the last step emitted, in order. @throws AssertionError */
  async emits(expected: readonly Expected[]): Promise<readonly CloudEvent[]> {
    const emitted = await this.emitted()
    const seen = emitted.map((event, i) => pick(event, expected[i]))
    const wanted = expected.map(each => ({ ...each }))
    deepStrictEqual(seen, wanted)
    return emitted
  }

  /** The events that the last step emitted. */
  async emitted(): Promise<readonly CloudEvent[]> {
    const { definition } = this.#agent
    const task = new Task({
      definition,
      task: taskId(correlationid, definition.name, this.#start.id),
      start: this.#start,
    })
    this.#turns.length = 0
    this.#isFaulty = false
    await this.#turn(task, this.#start)
    for (const step of this.#steps)
      await this.#turn(task, step(openCalls(task), task.identity, epoch + task.head * 1_000))
    if (!this.#isFaulty) await this.#refold(task.machine)
    return this.#turns.at(-1)!.emitted
  }

  async #turn(task: Task, input: CloudEvent): Promise<void> {
    if (task.end) throw new Error(`the task is ${task.end}, so it accepts no further step`)
    const builder = new TurnBuilder({
      identity: task.identity,
      version: task.head + 1,
      inputs: [input],
      now: epoch + task.head * 1_000,
    })
    await task.decide([input], builder)
    const turn = builder.build([input], null).data
    task.advance(turn, 0)
    if (builder.fault) this.#isFaulty = true
    else task.accepted(builder.emits, builder.events)
    this.#turns.push({ turn, emitted: builder.events })
  }

  async #refold(live: Machine): Promise<void> {
    const replayed = this.#agent.definition.machine(this.#start, plainRedactor)
    for (const turn of this.#turns) await replayed.fold(turn)
    deepStrictEqual(
      replayed.snapshot(),
      live.snapshot(),
      'replaying the history gives another state: the program is not pure',
    )
  }
}

/** The calls that a task waits for. A step, which is a call of the agent to itself, is found by its own name. */
const openCalls = ({ open, machine }: Task): OpenCall[] =>
  [...open.values()].map(call => ({ ...call, target: machine.step?.(call.as ?? call.id)?.name ?? call.target }))

function answer(target: string, [tool, agent]: [string, string], data: unknown): ScenarioStep {
  return (open, { program }) => {
    const call = find(open, each => each.target === target && each.type !== 'model.invoke', target)
    const type = call.type === 'agent.invoke' ? agent : tool
    return answerTo(call, program, call.type === stepType ? type.replace('tool', 'step') : type, data)
  }
}

function modelAnswer({ error, ...answer }: ModelStep): ScenarioStep {
  return (open, { program }) => {
    const call = find(open, each => each.type === 'model.invoke', 'the model')
    if (error) return answerTo(call, program, 'model.failed', { error: error.toJSON() })
    const data: ModelResult = { model: call.target, usage: { input: 0, output: 0 }, ...answer }
    return answerTo(call, program, 'model.result', data)
  }
}

const answerTo = ({ id }: OpenCall, target: string, type: string, data: unknown): CloudEvent =>
  recorded({ id: resultId(id), type, call: id, causationid: id, target, correlationid, data })

/** As the log stores it: a Date becomes a text. */
const recorded = (draft: Draft): CloudEvent =>
  createEvent({ ...draft, data: jsonOf(draft.data, `the data of ${draft.type}`) })

function find(open: readonly OpenCall[], fits: (call: OpenCall) => boolean, what: string): OpenCall {
  const call = open.find(fits)
  if (!call)
    throw new Error(`no call of ${what} is open; open calls: ${open.map(each => each.target).join(', ') || 'none'}`)
  return call
}

function pick(event: CloudEvent, expected: Expected | undefined): Expected {
  return {
    type: event.type,
    ...((!expected || 'target' in expected) && event.target !== undefined && { target: event.target }),
    ...((!expected || 'data' in expected) && { data: subset(event.data, expected?.data) }),
  }
}
