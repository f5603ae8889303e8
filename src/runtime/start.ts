import type { Bus } from '../bus/bus.ts'
import type { BlobStore, Driver, Durability } from '../bus/driver.ts'
import { Pauses } from '../bus/pauses.ts'
import { log } from '../bus/telemetry/log.ts'
import { watchLog } from '../bus/telemetry/watch-log.ts'
import { Conversations } from '../models/conversation.ts'
import { assertKey } from '../models/provider.ts'
import { ModelStation } from '../models/station.ts'
import { ReplayStation } from '../replay/station.ts'
import { milliseconds } from '../tasks/duration.ts'
import { recordAgentLimits } from '../tasks/agent-limits.ts'
import { declareApp } from '../tasks/declared-apps.ts'
import { withOlderTypes, publishWorkflows } from '../tasks/definitions.ts'
import { Engine } from '../tasks/engine.ts'
import { claimNames, appGroup } from '../tasks/hosts.ts'
import { logReplacedWarning } from '../gateway/health.ts'
import { assertGuarded, openIdentity } from '../gateway/identity/guard.ts'
import { assertNotPartial } from '../replay/slice-import.ts'
import { answerPresence } from '../tasks/presence.ts'
import { ToolStation } from '../tools/station.ts'
import type { App } from './app.ts'
import { declarationOf } from './declaration.ts'
import { LiveIndex } from '../trace/index/live.ts'
import { indexFile } from './log-index.ts'
import { startLogging } from './logging.ts'
import { schemeOf } from './drivers.ts'
import { environment, openBus, type Environment } from './environment.ts'
import { OperationStation } from './operations/station.ts'
import { stopAll, type Stoppable } from './stop.ts'
import { openLogClient, type LogClient } from './log-client.ts'
import { presenceOf } from './presence.ts'
import { startWithRetry, type BrokerWait } from './start-with-retry.ts'
import { startTelemetry } from './telemetry.ts'
import { unhostedText } from './unhosted.ts'

export const roles = ['agents', 'tools', 'models', 'gateway', 'triggers'] as const
/** A kind of work that a process may host. */
export type Role = (typeof roles)[number]

/** What this process hosts, and with which log. */
export interface StartOptions extends Partial<Environment> {
  /** Hosts only these. Default: all. */
  only?: readonly Role[]
  /** `import.meta.url` of the module whose default export is the app: needed for blocking tools. */
  module?: string
  /** Called once if the broker cannot be used yet; the app then waits for it. */
  onWaiting?(waiting: BrokerWait): void
  /** Ends the waiting. */
  signal?: AbortSignal
  /** An open log, used instead of the one that `bus` names. `stop` closes it. */
  driver?: Driver
  /** Stores large data. Default: the blob store of the driver. */
  blobs?: BlobStore
}

/** A limitation of a worker that a person should know. */
export interface Warning {
  readonly code: 'durability' | 'broker' | 'not-hosted' | 'trigger'
  readonly message: string
}

/** An app that runs in this process, until `stop` resolves. */
export interface RunningApp extends LogClient {
  readonly bus: Bus
  readonly pauses: Pauses
  readonly durability: Durability
  /** Where it listens, for display. */
  readonly addresses: readonly string[]
  /**
   * Of the console, if it hosts the gateway. Without a policy it contains a key, which makes the browser that opens it that of the person who
   * started the app: print it for nobody else.
   */
  readonly console?: string
  readonly warnings: readonly Warning[]
  /**
   * Waits up to `stopWithin` for running work, returns the rest to other workers and closes the log.
   * `await using running = await start(shop)` does it at the end of the block.
   * @example await running.stop()
   */
  stop(): Promise<void>
}

const janitorIntervalMs = 10 * 60_000
const maxLag = 1_000_000

type StartSettings = Environment & Pick<StartOptions, 'module' | 'driver' | 'blobs'>

/**
 * Starts an app in this process. Waits for the broker, if the log is on one.
 * @throws E_SETTING_INVALID, E_MODEL_KEY, E_IDENTITY_MISSING, E_PORT_IN_USE, E_AGENT_TAKEN, E_LOG_UNAVAILABLE
 * @example
 * const running = await start(shop, { only: ['agents', 'tools'] })
 * const handle = await running.ask(writer, { topic: 'The tides' })
 * show(await handle.result({ within: '2m' }))
 * await running.stop()
 */
export async function start(app: App, options: StartOptions = {}): Promise<RunningApp> {
  await startLogging()
  const settings = { ...environment(), ...options }
  const hosts = new Set<Role>(options.only ?? roles)
  if (hosts.has('models')) for (const { languageModel } of app.models) assertKey(languageModel)
  if (hosts.has('gateway')) assertGuarded(settings.host, settings.policy)
  if (settings.driver || schemeOf(settings.bus) === 'sqlite') return startNow(app, settings, hosts)
  const { signal, onWaiting } = options
  const gateway = hosts.has('gateway') ? settings : undefined
  const attempt = (timeoutMs: number, releasePort: () => Promise<void>) =>
    startNow(app, settings, hosts, timeoutMs, releasePort)
  return startWithRetry(attempt, { gateway, signal, onWaiting })
}

/** Consumers are provisioned before anything from outside may publish. */
async function startNow(
  app: App,
  settings: StartSettings,
  hosts: ReadonlySet<Role>,
  timeoutMs?: number,
  releasePort?: () => Promise<void>,
): Promise<RunningApp> {
  const { module } = settings
  const stopWithin = milliseconds(settings.stopWithin)
  const telemetry = await startTelemetry(app.name)
  const { driver, blobs } = settings
  const own = { ...(driver && { driver }), ...(blobs && { blobs }) }
  const bus = await openBus(settings, { timeoutMs, redactor: app.redactor, events: app.events, ...own })
  const pauses = new Pauses(bus)
  // The index of a log that was passed in is not kept: its address is unknown.
  const index = new LiveIndex(bus, { file: driver ? undefined : indexFile(settings) })
  const { failedFor } = settings
  const views = { index, failedFor }
  const client = openLogClient(bus, settings.policy, views)
  const names = [...new Set(app.programs.map(program => program.name))]
  let engine: Engine | undefined
  const isIngress = hosts.has('gateway') || hosts.has('triggers')
  const started: Stoppable[] = [{ stop: () => bus.close() }, { stop: () => index.close() }, client]
  // One role is enough, and the credentials of the other roles may not permit it.
  if (hosts.has('gateway') || hosts.has('agents')) started.push({ stop: watchLog(bus) })
  if (telemetry) started.push(telemetry)
  bus.onEmptied(partitions => {
    const warning = logReplacedWarning(new Date(), partitions)
    process.emitWarning(warning)
    log.error?.({ app: app.name }, warning)
    // If this fails, the next start writes it; until then requests that need it fail with an error that says so.
    if (hosts.has('agents'))
      void claimNames(bus, app.name, names)
        .then(() => publishDefinitions(bus, app))
        .then(() => declareApp(bus, declarationOf(app)))
        .catch(() => {})
    else if (isIngress) void engine?.provision().catch(() => {})
  })
  const stop = async () => {
    log.info?.({ app: app.name }, 'worker stops')
    await stopAll(started.splice(0).reverse(), stopWithin)
    log.info?.({ app: app.name }, 'worker stopped')
  }
  const addresses: string[] = []
  let console: string | undefined
  const warnings: Warning[] = []
  const run = async (station: Stoppable & { start(): Promise<unknown> }) => {
    await station.start()
    started.push(station)
  }

  try {
    await bus.assertUsable()
    await assertNotPartial(bus)
    engine = await engineOf(app, bus, pauses)
    await pauses.start()
    started.push(pauses)
    if (engine && hosts.has('agents')) {
      await claimNames(bus, app.name, names)
      await publishDefinitions(bus, app)
      const conversations = new Conversations(bus)
      await run(new ReplayStation(bus, request => conversations.question(request)))
      await run(engine)
      await run(
        new OperationStation(
          { bus, app, module, query: index.query, failedFor },
          await openIdentity(bus, settings.policy),
        ),
      )
      await claimNames(bus, app.name, names)
    } else if (isIngress) await engine?.provision()
    if (hosts.has('agents')) await declareApp(bus, declarationOf(app))
    if (hosts.has('tools')) {
      const tools = app.servers.length === 0 ? app.tools : await connected(app, bus, run)
      await run(new ToolStation({ bus, tools, pauses, ...(module && { module }) }))
    }
    if (hosts.has('models')) await run(new ModelStation({ bus, models: app.models, pauses }))
    if (hosts.has('agents')) started.push(startJanitor(bus, milliseconds(app.retention)))
    if (hosts.has('gateway')) {
      const { startGateway } = await import('../gateway/gateway.ts')
      await releasePort?.()
      const { port, host, policy, home } = settings
      const gateway = await startGateway({ bus, port, host, home, ...views, ...(policy !== undefined && { policy }) })
      addresses.push(gateway.url)
      console = gateway.console
      started.push(gateway)
    }
    if (hosts.has('triggers')) {
      for (const trigger of app.triggers) {
        const running = await trigger.start(bus)
        started.push(running)
        addresses.push(running.address)
        for (const message of running.warnings ?? []) warnings.push({ code: 'trigger', message })
      }
      for (const sink of app.sinks) {
        const running = await sink.start(bus)
        started.push(running)
        addresses.push(running.address)
      }
    }
    started.push({ stop: answerPresence(bus, presenceOf(app, hosts, addresses[0])) })
    const durability = await bus.durability()
    log.info?.({ app: app.name, roles: [...hosts], bus: bus.name, addresses }, 'worker started')
    warnings.unshift(...durabilityWarnings(durability))
    const unhosted = hosts.has('agents') ? await unhostedText(app, bus) : undefined
    if (unhosted !== undefined) {
      warnings.push({ code: 'not-hosted', message: unhosted })
      log.warn?.({ app: app.name }, unhosted)
    }
    return {
      bus,
      pauses,
      durability,
      addresses,
      ...(console !== undefined && { console }),
      warnings,
      stop,
      [Symbol.asyncDispose]: stop,
      ...client.members,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Creates the consumer group of the app's agents, so that events published before the first worker starts are kept. */
export async function provisionApp(app: App, bus: Bus): Promise<void> {
  await (await engineOf(app, bus, new Pauses(bus)))?.provision()
}

async function engineOf(app: App, bus: Bus, pauses: Pauses): Promise<Engine | undefined> {
  if (app.programs.length === 0) return undefined
  const programs = await withOlderTypes(bus, app.programs)
  return new Engine({ bus, group: appGroup(app.name), programs, maxHops: app.maxHops, budget: app.budget, pauses })
}

/** The tools of an app, those of MCP servers with the connection on which they run. */
async function connected(
  app: App,
  bus: Bus,
  run: (station: Stoppable & { start(): Promise<unknown> }) => Promise<void>,
) {
  const { McpStation } = await import('../mcp/client/station.ts')
  const servers = new McpStation({ bus, servers: app.servers })
  await run(servers)
  return servers.bind(app.tools)
}

/** Stores the definitions of model agents and workflows, and the limits of agents. A key is the digest of its content, so concurrent writers store the same. */
async function publishDefinitions(bus: Bus, app: App): Promise<void> {
  for (const { needs } of app.agents) if (needs) await bus.documents.create(needs.key, needs.document)
  await publishWorkflows(bus, app.programs)
  await recordAgentLimits(bus, app.agents)
}

function startJanitor(bus: Bus, age: number) {
  const purge = async () => {
    const { events, heldBy } = await bus.purge({ maxAgeMs: age, maxLag })
    if (events > 0) log.info?.({ events, held_by: heldBy }, 'old events purged')
  }
  const timer = setInterval(() => void purge().catch(() => {}), janitorIntervalMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

function durabilityWarnings(durability: Durability): Warning[] {
  const warnings: Warning[] = []
  const { survives, detail, notices = [] } = durability
  if (survives !== 'power') {
    const what = survives === 'process' ? 'a crash, not a power cut' : 'nothing'
    warnings.push({ code: 'durability', message: `A resolved publish survives ${what}: ${detail}` })
  }
  for (const message of notices) warnings.push({ code: 'broker', message })
  return warnings
}
