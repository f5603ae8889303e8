import { once } from 'node:events'
import { styleText } from 'node:util'
import { maxTimerMs } from '../bus/clock.ts'
import { log } from '../bus/telemetry/log.ts'
import { textOf } from '../errors.ts'
import type { App } from '../runtime/app.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { roles, start, type Role, type RunningApp } from '../runtime/start.ts'
import type { BrokerWait } from '../runtime/start-with-retry.ts'
import { didYouMean } from '../suggest.ts'
import { dim } from '../trace/paint.ts'
import { countText } from '../trace/text.ts'
import { printIncompatible } from './incompatible-tasks.ts'
import { findApp, loadApp } from './load-app.ts'
import { firstCommands } from './first-commands.ts'
import { printResult, shutdownSignal, usageError, type GlobalOptions } from './output.ts'
import { durabilityText } from './status.ts'

export interface RunOptions extends GlobalOptions {
  only?: string
}

/** What a worker sends to the `tidings dev` that started it. */
export interface ReadyMessage {
  readonly next: readonly string[]
}

export async function runCommand(path: string | undefined, options: RunOptions): Promise<void> {
  const shutdown = AbortSignal.any([shutdownSignal(), parentGoneSignal()])
  const hosted = parseRoles(options.only)
  const { app, module } = await loadApp(findApp(path))
  const waiting: Promise<void>[] = []
  const onWaiting = (found: BrokerWait) => void waiting.push(printWaiting(options, found))
  const running = await start(app, { module, signal: shutdown, onWaiting, only: hosted }).catch(async error => {
    if (!shutdown.aborted || waiting.length === 0) throw error
  })
  await Promise.all(waiting)
  if (!running) return printResult(options, { event: 'stopped' }, ['stopped'])
  const { addresses, console, durability, warnings } = running
  const details = { roles: hosted, addresses, console, durability, warnings }
  const record = { event: 'ready', app: app.name, pid: process.pid, home: environment().home, ...details }
  await printResult(options, record, readyText(app, running, hosted))
  process.send?.({ next: firstCommands(app) } satisfies ReadyMessage)
  const checked = hosted.includes('agents')
    ? printIncompatible(running.bus, app, options, shutdown).catch(logSkippedCheck)
    : undefined
  // Keeps the process alive even if the app has nothing open.
  const alive = setInterval(() => {}, maxTimerMs)
  if (!shutdown.aborted) await once(shutdown, 'abort')
  clearInterval(alive)
  await checked
  await printResult(options, { event: 'stopping' }, [
    dim('finishing work in progress; press Ctrl-C again to stop at once'),
  ])
  await running.stop()
  await printResult(options, { event: 'stopped' }, ['stopped'])
  // A tool that ignores its abort signal must not keep the process alive.
  process.exit()
}

// The check is optional: an unavailable log or index does not stop the worker.
const logSkippedCheck = (error: unknown) =>
  log.warn?.({}, `waiting tasks were not checked against the code: ${textOf(error)}`)

/** Aborts when `tidings dev` closes the IPC channel, or ends. */
function parentGoneSignal(): AbortSignal {
  const gone = new AbortController()
  process.once('disconnect', () => gone.abort())
  // The channel must not keep a process alive that could not start.
  process.channel?.unref()
  return gone.signal
}

/** The named roles in their usual order; by default all. @throws E_USAGE */
function parseRoles(only: string | undefined): readonly Role[] {
  if (only === undefined) return roles
  const named = only.split(',').map(each => each.trim())
  const unknown = named.find(each => !roles.some(role => role === each))
  if (unknown !== undefined)
    throw usageError(`unknown role "${unknown}" in --only: expected ${roles.join(', ')}${didYouMean(unknown, roles)}`)
  return roles.filter(role => named.includes(role))
}

function printWaiting(options: GlobalOptions, { error, address }: BrokerWait): Promise<void> {
  const record = { event: 'waiting', pid: process.pid, error, ...(address && { addresses: [address] }) }
  return printResult(options, record, [
    `${styleText('yellow', '●')} waiting for the log: ${error.message}`,
    dim(`  ${error.next}${address ? ` ${address}/health reports when it continues.` : ''}`),
  ])
}

function readyText(
  app: App,
  { addresses, console, durability, warnings }: RunningApp,
  hosted: readonly Role[],
): string[] {
  const others = roles.filter(role => !hosted.includes(role))
  const role = others.length === 0 ? 'runs' : `runs as ${hosted.join(', ')}`
  const parts = hosted.flatMap(each => componentsOf(app)[each])
  const away = others.flatMap(each => componentsOf(app)[each])
  return [
    `${styleText('green', '●')} ${styleText('bold', app.name)} ${role}: ${parts.join(', ')}`,
    ...(others.length === 0 ? [] : [dim(`  other workers must run: ${away.join(', ')}`)]),
    ...(console === undefined ? [] : [`  console: ${styleText('bold', console)}`]),
    ...addresses.map(address => `  ${address}`),
    `  ${shownLog(environment())}: ${durabilityText(durability)}`,
    ...warnings.flatMap(({ code, message }) =>
      code === 'durability' ? [] : [`  ${styleText('yellow', '!')} ${message}`],
    ),
  ]
}

/** What a worker runs in each role, as text. */
const componentsOf = ({ agents, workflows, tools, models, triggers, sinks }: App): Record<Role, string[]> => ({
  agents: [
    countText(agents.length, 'agent'),
    ...(workflows.length > 0 ? [countText(workflows.length, 'workflow')] : []),
  ],
  tools: [countText(tools.length, 'tool')],
  models: [countText(models.length, 'model')],
  gateway: ['the gateway'],
  triggers: [
    ...(triggers.length > 0 ? [countText(triggers.length, 'trigger')] : []),
    ...(sinks.length > 0 ? [countText(sinks.length, 'sink')] : []),
  ],
})
