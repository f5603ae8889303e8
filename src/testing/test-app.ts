import { AssertionError } from 'node:assert'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { Askable, AskOptions } from '../ask/client.ts'
import type { TaskHandle } from '../ask/handle.ts'
import { beginning } from '../bus/cursor.ts'
import type { PublishedEvent } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { checkedData, type AnyEventType, type CloudEvent, type Draft, type EventType } from '../event.ts'
import { jsonOf } from '../json.ts'
import { matchesType } from '../pattern.ts'
import type { App } from '../runtime/app.ts'
import { start, type RunningApp } from '../runtime/start.ts'
import { didYouMean } from '../suggest.ts'
import { answerApproval } from '../tasks/approval-answer.ts'
import { PendingApprovals } from '../tasks/approval-list.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import type { AnyTool, ToolContext } from '../tools/tool.ts'
import { offlineModel, offlineProvider } from '../models/offline/language-model.ts'
import { summarizeEvent } from '../trace/summarize.ts'
import type { TestRequest, Trigger } from '../triggers/trigger.ts'
import { MemoryDriver } from './memory/driver.ts'
import { MemoryLog } from './memory/log.ts'
import { answersOf, fail, scriptedModel, type ModelScript } from './scripted-model.ts'
import { StepStubs, type Steps } from './step-stubs.ts'
import { subset } from './subset.ts'
import { UnhostedCalls } from './unhosted-calls.ts'
import { timeText, VirtualClock, VirtualTime } from './virtual-time.ts'

/** What is faked around an app, and when its story begins. */
export interface TestAppOptions {
  /** The answers of the models. Without it only `offlineModel()` answers, and requests to other models fail. */
  model?: ModelScript
  /** Functions that run instead of tools, by name. Checks, approval and retries of the tool stay. Other tools run as they are. */
  tools?: Readonly<Record<string, ToolStub>>
  /** Functions that run instead of inline steps (`ctx.step`), by the name of the step. Other steps run as they are. */
  steps?: Steps
  /** The time at which the app starts. Default: the beginning of 2026, UTC. */
  now?: Date | string | number
  /** How long a tool may run in real time before a wait fails. Default: four seconds. */
  stallTimeoutMs?: number
}

/** Runs instead of the `run` function of a tool. */
export type ToolStub = (input: never, context: ToolContext) => unknown

/** The fields of the data that an event must have. Others may have any value; a list must be equal. */
export type ExpectedData<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [Key in keyof T]?: ExpectedData<T[Key]> }
    : T

/** How far the clock may be moved to find something. */
export interface SkipOptions {
  /** Default: 366 days. */
  within?: Duration
}

/** Who answers a request for approval, and how. */
export interface AnswerOptions extends SkipOptions {
  /** Default: the first of the approvers, or `tester`. */
  by?: string
  comment?: string
  /** To approve a request with a form: what the person filled in. */
  content?: Readonly<Record<string, unknown>>
}

const defaultSkip = '366d'
/** Events that the error of a wait lists. */
const maxReportedEvents = 50
const defaultStallTimeoutMs = 4_000
const defaultNow = Date.UTC(2026, 0, 1)

/**
 * Runs a whole app in this process for a test: its agents, workflows, tools and models, on a log in memory, with a clock that stands still
 * until the test waits for something that time brings. Nothing listens on a port, and triggers do not run: the test sends webhooks by `webhook`, and
 * publishes what other triggers would.
 * @throws E_APP_INVALID if `tools` names a tool that the app does not have
 * @example
 * await using world = await testApp(shop, { tools: { 'card.charge': () => ({ paid: false }) } })
 * await world.publish('order.placed', { order: 'A1' })
 * await world.expect('order.expired', { order: 'A1' })
 * assert.equal(world.now.toISOString(), '2026-01-31T00:00:00.000Z')
 */
export async function testApp(app: App, options: TestAppOptions = {}): Promise<TestApp> {
  // The tests of a person are no place for the log of a worker.
  process.env.TIDINGS_LOG_LEVEL ??= 'silent'
  const clock = new VirtualClock(new Date(options.now ?? defaultNow).getTime())
  const log = new MemoryLog({ clock })
  const steps = new StepStubs(options.steps ?? {})
  const faked = withFakes(app, options, steps)
  const running = await start(faked, {
    driver: new MemoryDriver(log),
    only: ['agents', 'tools', 'models'],
  })
  const time = new VirtualTime(log, clock, options.stallTimeoutMs ?? defaultStallTimeoutMs)
  return new TestApp({ running, clock, time, steps, triggers: app.triggers, unhosted: new UnhostedCalls(faked) })
}

interface TestAppParts {
  readonly running: RunningApp
  readonly clock: VirtualClock
  readonly time: VirtualTime
  readonly steps: StepStubs
  readonly triggers: readonly Trigger[]
  readonly unhosted: UnhostedCalls
}

/** An app under test, and what may happen to it. `testApp` starts one. */
export class TestApp {
  /** The app as `start` returns it. */
  readonly running: RunningApp
  readonly #clock: VirtualClock
  readonly #time: VirtualTime
  readonly #events: CloudEvent[] = []
  readonly #expected = new Set<string>()
  readonly #steps: StepStubs
  readonly #triggers: readonly Trigger[]
  readonly #unhosted: UnhostedCalls
  readonly #approvals = new PendingApprovals()
  #cursor = beginning
  #hasFailed = false

  constructor({ running, clock, time, steps, triggers, unhosted }: TestAppParts) {
    this.running = running
    this.#clock = clock
    this.#time = time
    this.#steps = steps
    this.#triggers = triggers
    this.#unhosted = unhosted
  }

  /** The time in the app. */
  get now(): Date {
    return new Date(this.#clock.now())
  }

  /**
   * Publishes an event from outside, also one of a trigger, such as `email.received`. Resolves when it is on the log; the app acts on it
   * when the test waits for something. @throws E_EVENT_INVALID if the data does not fit the schema of the type
   * @example await world.publish('order.placed', { order: 'A1' })
   */
  publish<Given>(
    type: string | EventType<unknown, Given>,
    data: Given,
    attributes: Partial<Draft> = {},
  ): Promise<PublishedEvent> {
    const checked = typeof type === 'string' ? data : checkedData(type, data)
    return this.running.bus.publish({ ...attributes, type: nameOf(type), data: checked })
  }

  /**
   * A webhook arrives: a request to an endpoint of the app's `webhook()`, signed as its `scheme` says. Resolves with the response; the app acts on the
   * event when the test waits for something. A secret that is not set is made up. `headers` may name the id of the source, or a wrong signature.
   * @throws E_NOT_FOUND for an unknown endpoint, E_SETTING_INVALID for a malformed secret
   * @example
   * const response = await world.webhook('billing', { body: { id: 'evt_1', type: 'invoice.paid', data: { total: 12 } } })
   * assert.equal(response.status, 202)
   */
  async webhook(endpoint: string, request: TestRequest = {}): Promise<Response> {
    const trigger = this.#triggers.find(each => each.receive)
    if (!trigger)
      throw new TidingsError('E_NOT_FOUND', 'the app receives no webhooks: add webhook({ endpoints }) to its `use`')
    return trigger.receive!(this.running.bus, endpoint, request)
  }

  /**
   * Asks an agent or workflow, as `running.ask` does. `result()` of the handle moves the clock as `expect` does.
   * @example assert.equal(await (await world.ask(helper, 'When?')).result(), 'On Sunday.')
   */
  async ask<Input, Output>(
    target: Askable<Input, Output> | string,
    input: Input,
    options?: AskOptions,
  ): Promise<TaskHandle<Output>> {
    const handle = await this.running.ask(target, input, options)
    const { result, say } = handle
    const name = typeof target === 'string' ? target : target.name
    handle.result = waiting => {
      const within = waiting?.within ?? 'forever'
      return this.#settled(result.call(handle), `the result of "${name}"`, within === 'forever' ? defaultSkip : within)
    }
    handle.say = message => this.#settled(say.call(handle, message), `"${name}" to take the message`, defaultSkip)
    return handle
  }

  /** What a promise becomes; moves the clock until then. */
  async #settled<T>(settling: Promise<T>, what: string, within: Duration): Promise<T> {
    let outcome: { readonly of: Promise<T> } | undefined
    const settled = () => (outcome = { of: settling })
    settling.then(settled, settled)
    return (await this.#wait(() => outcome, what, within)).of
  }

  /**
   * Waits for an event of this type whose data has these fields, and moves the clock as far as needed. Each event is found once, so a
   * second call finds a second event. `type` may be a pattern such as `order.*`.
   * @throws AssertionError that lists what happened instead
   * @example await world.expect('order.paid', { total: 12 })
   */
  async expect<Given = unknown>(
    type: string | EventType<unknown, Given>,
    data?: ExpectedData<Given>,
    { within = defaultSkip }: SkipOptions = {},
  ): Promise<CloudEvent<Given>> {
    const name = nameOf(type)
    const wanted = data === undefined ? undefined : jsonOf(data, 'the expected data')
    const find = () => {
      const found = this.#events.find(
        event => !this.#expected.has(event.id) && matchesType(name, event.type) && hasFields(event.data, wanted),
      )
      if (found) this.#expected.add(found.id)
      return found as CloudEvent<Given> | undefined
    }
    return this.#wait(find, `an event ${name}${wanted === undefined ? '' : ` with ${inspect(wanted)}`}`, within)
  }

  /**
   * The events so far, when the app is idle: all but turns, or those of a type or pattern. The clock does not move.
   * @example assert.deepEqual(await world.events('mail.sent'), [])
   */
  async events<Data = unknown>(type: string | EventType<unknown, Data> = '>'): Promise<CloudEvent<Data>[]> {
    await this.idle()
    return this.#events.filter(event => matchesType(nameOf(type), event.type)) as CloudEvent<Data>[]
  }

  /**
   * Waits until nothing more happens at this time. The clock does not move.
   * @example await world.idle()
   */
  idle(): Promise<unknown> {
    return this.#wait(() => true, 'an idle app', 0)
  }

  /**
   * Moves the clock, and lets happen whatever is due until then.
   * @example await world.advance('29d')
   */
  async advance(by: Duration): Promise<void> {
    const ms = milliseconds(by)
    const end = this.#clock.now() + ms
    this.#clock.at(end, () => {})
    await this.#wait(() => (this.#clock.now() >= end ? true : undefined), `the time ${timeText(end)}`, ms)
  }

  /**
   * Waits until the app asks for an approval, and grants it. `name`: of the approver role, or of the tool that needs approval.
   * @throws AssertionError if nobody is asked, E_APPROVAL_FORBIDDEN
   * @example await world.approve('editor', { by: 'ann' })
   */
  approve(name: string, options: AnswerOptions = {}): Promise<CloudEvent> {
    return this.#answer('grant', name, options)
  }

  /**
   * Waits until the app asks for an approval, and denies it: see {@link approve}.
   * @example await world.deny('editor', { by: 'ann', comment: 'too long' })
   */
  deny(name: string, options: AnswerOptions = {}): Promise<CloudEvent> {
    return this.#answer('deny', name, options)
  }

  /**
   * What happened so far, one event a line, for people.
   * @example console.log(world.timeline())
   */
  timeline(): string {
    return this.#events
      .map(event => {
        const about = event.target === undefined ? '' : ` ${event.target}`
        return `  ${timeText(Date.parse(event.time))}  ${event.type}${about}  ${summarizeEvent(event)}`
      })
      .join('\n')
  }

  /**
   * Stops the app. `await using` does it at the end of the test.
   * @throws AssertionError for a stub in `steps` that replaced nothing while other steps ran as they are, such as a misspelt one
   * @example await world.stop()
   */
  async stop(): Promise<void> {
    await this.running.stop()
    const { problem } = this.#steps
    if (problem !== undefined && !this.#hasFailed) throw new AssertionError({ message: problem })
  }

  /**
   * Stops the app at the end of the scope.
   * @example await using world = await testApp(shop)
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #answer(decision: 'grant' | 'deny', name: string, options: AnswerOptions): Promise<CloudEvent> {
    const { by, comment, content, within = defaultSkip } = options
    const { bus } = this.running
    const find = async () => {
      const request = (await this.#approvals.open(bus)).find(each => each.name === name)
      if (!request) return undefined
      const { id, hash, approvers } = request
      const reply = { id, hash, decision, by: by ?? approvers?.[0] ?? 'tester', source: '/testing' }
      return answerApproval(bus, { ...reply, ...(comment !== undefined && { comment }), ...(content && { content }) })
    }
    return this.#wait(find, `a request for the approval "${name}"`, within)
  }

  #wait<T>(find: () => T | undefined | Promise<T | undefined>, what: string, within: Duration): Promise<T> {
    const look = async () => {
      await this.#read()
      if (this.#unhosted.error) throw this.#unhosted.error
      return find()
    }
    const started = this.now.getTime()
    return this.#time.wait(look, {
      skipMs: milliseconds(within),
      fail: async why => {
        await this.#read()
        this.#hasFailed = true
        const waited =
          this.#clock.now() > started ? ` between ${timeText(started)} and ${timeText(this.#clock.now())}` : ''
        const lines = [`${what} did not come${waited}: ${why}`, 'What happened:', ...this.#newest()]
        const notes = [...(await this.#deferred()), ...(this.#steps.problem === undefined ? [] : [this.#steps.problem])]
        return new AssertionError({ message: [...lines, ...notes].join('\n') })
      },
    })
  }

  /** The end of the timeline, for an error. */
  #newest(): string[] {
    const lines = this.timeline().split('\n')
    const omitted = lines.length - maxReportedEvents
    if (omitted > 0) return [`  … ${omitted} earlier events`, ...lines.slice(omitted)]
    return this.#events.length === 0 ? ['  nothing'] : lines
  }

  /** Deliveries that wait for a person: an error that nobody handled is often the reason why something did not come. */
  async #deferred(): Promise<string[]> {
    const entries = await Array.fromAsync(this.running.bus.listDeferred())
    const lines = entries.flatMap(({ state, group, event, reason }) =>
      state === 'delayed' ? [] : [`  ${state} in ${group}: ${event.type}: ${reason.code}: ${reason.message}`],
    )
    return lines.length === 0 ? [] : ['What needs attention:', ...lines]
  }

  async #read(): Promise<void> {
    const { bus } = this.running
    for await (const { event, cursor } of bus.read({ after: this.#cursor })) {
      this.#cursor = cursor
      if (event.type === 'task.turn') continue
      this.#unhosted.see(event)
      const whole = await bus.resolveIfStored(event)
      this.#events.push(whole)
      if (whole.type.startsWith('approval.')) this.#approvals.add(whole)
    }
  }
}

const nameOf = (type: string | AnyEventType) => (typeof type === 'string' ? type : type.type)

const hasFields = (data: unknown, wanted: unknown) =>
  wanted === undefined || isDeepStrictEqual(subset(data, wanted), wanted)

/** The app with fake models, tools and steps. Rates are by the clock of the machine, so they do not apply. */
function withFakes(app: App, { model, tools: stubs = {} }: TestAppOptions, steps: StepStubs): App {
  const answer = model && answersOf(model)
  const hosted = new Map<string, AnyTool>(app.tools.map(tool => [tool.name, tool]))
  for (const { needs } of app.agents)
    for (const tool of needs?.tools ?? [])
      if (tool.name in stubs && 'options' in tool) hosted.set(tool.name, tool as AnyTool)
  const unknown = Object.keys(stubs).find(name => !hosted.has(name))
  if (unknown !== undefined)
    throw new TidingsError(
      'E_APP_INVALID',
      `testApp(): the app "${app.name}" has no tool "${unknown}", so \`tools\` cannot replace it${didYouMean(unknown, hosted.keys())}`,
    )
  const unscripted = fail(
    'E_MODEL_FAILED',
    'testApp() calls no real model: pass its answers, as in testApp(app, { model: [reply("…")] })',
  )
  return {
    ...app,
    servers: [],
    programs: app.programs.map(program => ({ ...program, machine: (...args) => steps.applyTo(program.machine(...args)) })), // biome-ignore format: one line
    tools: [...hosted.values()].map(tool => {
      const { rate: _, blocking: __, ...kept } = tool.options
      const run = stubs[tool.name]
      return { ...tool, options: { ...kept, ...(run && { run }) } }
    }),
    models: app.models.map(each => {
      const { rate: _, ...kept } = each.options
      const isOffline = !answer && each.languageModel.provider === offlineProvider
      const languageModel = isOffline
        ? offlineModel({ msPerWord: 0 })
        : scriptedModel(each.name, answer ?? (() => unscripted))
      return { ...each, options: kept, languageModel }
    }),
  }
}
