import { createEvent, type CloudEvent } from '../../src/event.ts'
import { resultId, taskId } from '../../src/bus/ids.ts'
import type { ProgramDefinition, RecordedTurn } from '../../src/tasks/program.ts'
import { Task } from '../../src/tasks/task.ts'
import { expiredAnswer } from '../../src/tasks/engine-answers.ts'
import { TurnBuilder, type OpenCall } from '../../src/tasks/turn.ts'
import type { InstanceState } from '../../src/workflows/state.ts'

const correlationid = '01900000-0000-7000-8000-000000000000'
const epoch = Date.UTC(2026, 0, 1)

/** An event of the outside world, as an instance gets it. */
export const happened = (type: string, data: unknown = null, id?: string): CloudEvent =>
  createEvent({ ...(id !== undefined && { id }), type, correlationid, data })

/** One instance of a workflow, turn by turn as in the engine, without a log. */
export class InstanceRun {
  readonly definition: ProgramDefinition
  readonly turns: RecordedTurn[] = []
  now = epoch
  #task: Task | undefined

  constructor({ definition }: { readonly definition: ProgramDefinition }) {
    this.definition = definition
  }

  get task(): Task {
    return this.#task!
  }

  get state(): InstanceState {
    return JSON.parse(this.task.machine.snapshot()!) as InstanceState
  }

  get isOver(): boolean {
    return this.#task?.end !== undefined
  }

  get open(): OpenCall[] {
    return [...(this.#task?.open.values() ?? [])]
  }

  /** One turn over these inputs; what it emitted. */
  async turn(...inputs: CloudEvent[]): Promise<readonly CloudEvent[]> {
    const [first] = inputs as [CloudEvent]
    const { definition } = this
    this.#task ??= new Task({ definition, task: taskId(correlationid, definition.name, 'instance'), start: first })
    const { task } = this
    const builder = new TurnBuilder({ identity: task.identity, version: task.head + 1, inputs, now: this.now })
    await task.decide(inputs, builder)
    task.cancelCalls(inputs, [], builder)
    task.accepted(builder.emits, builder.events)
    const { data: turn } = builder.build(inputs, null, task.machine.snapshot())
    task.advance(turn, 0)
    // As the log has it.
    this.turns.push(structuredClone({ turn, emitted: builder.events }))
    return builder.events
  }

  /** The answer to the oldest call of this target. */
  answer(target: string, output: unknown): Promise<readonly CloudEvent[]> {
    return this.turn(answerTo(this.#openTo(target), { output }))
  }

  fail(target: string, message: string): Promise<readonly CloudEvent[]> {
    return this.turn(answerTo(this.#openTo(target), { error: { code: 'E_TOOL_THREW', message } }))
  }

  /** Lets time go on to the moment at which the engine would wake it. */
  wake(): Promise<readonly CloudEvent[]> {
    const timer = this.#openTo('timer')
    this.now = Math.max(this.now, timer.until!)
    return this.turn(expiredAnswer(timer, this.task.identity, this.now))
  }

  cancel(reason = 'enough'): Promise<readonly CloudEvent[]> {
    return this.turn(createEvent({ type: 'agent.cancel', correlationid, data: { reason } }))
  }

  #openTo(target: string): OpenCall {
    const call = this.open.find(each => each.target === target)
    if (!call)
      throw new Error(`no call of ${target} is open; open are: ${this.open.map(each => each.target).join(', ')}`)
    return call
  }
}

export function answerTo(call: OpenCall, data: object): CloudEvent {
  const isAgent = call.type === 'agent.invoke'
  const [completed, failed] = isAgent ? ['agent.task.completed', 'agent.task.failed'] : ['tool.result', 'tool.failed']
  const type = 'error' in data ? failed : completed
  return createEvent({ id: resultId(call.id), type, call: call.id, correlationid, data })
}

export const typesIn = (events: readonly CloudEvent[]) => events.map(({ type }) => type)
