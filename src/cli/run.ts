import { styleText } from 'node:util'
import { log } from '../bus/telemetry/log.ts'
import { textOf, TidingsError } from '../errors.ts'
import type { App } from '../runtime/app.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { roles, start, type Role, type RunningApp } from '../runtime/start.ts'
import type { BrokerWait } from '../runtime/start-with-retry.ts'
import { didYouMean } from '../suggest.ts'
import { count, dim } from '../trace/text.ts'
import { printIncompatible } from './incompatible-tasks.ts'
import { findApp, loadApp } from './load-app.ts'
import { printResult, shutdownSignal, type GlobalOptions } from './output.ts'
import { durabilityText } from './status.ts'

export interface RunOptions extends GlobalOptions {
  only?: string
}

// The process lives until it is asked to end, also when the app has nothing open that would keep it.
const maxTimerMs = 2 ** 31 - 1

/** `tidings run [APP]` */
export async function runCommand(path: string | undefined, options: RunOptions): Promise<void> {
  const asked = AbortSignal.any([shutdownSignal(), parentGoneSignal()])
  const hosted = parseRoles(options.only)
  const { app, module } = await loadApp(findApp(path))
  const waiting: Promise<void>[] = []
  const onWaiting = (found: BrokerWait) =>
    void waiting.push(printResult(options, waitingRecord(found), waitingText(found)))
  const running = await start(app, { module, signal: asked, onWaiting, only: hosted }).catch(async error => {
    if (!asked.aborted || waiting.length === 0) throw error
  })
  await Promise.all(waiting)
  if (!running) return printResult(options, { event: 'stopped' }, ['stopped'])
  await printResult(options, readyRecord(app, running, hosted), readyText(app, running, hosted))
  const looked = hosted.includes('agents')
    ? printIncompatible(running.bus, app, options, asked).catch(logSkippedCheck)
    : undefined
  const alive = setInterval(() => {}, maxTimerMs)
  if (!asked.aborted) await new Promise(resolve => asked.addEventListener('abort', resolve))
  clearInterval(alive)
  await looked
  await printResult(options, { event: 'stopping' }, [dim('ending what is under way; once more to stop at once')])
  await running.stop()
  await printResult(options, { event: 'stopped' }, ['stopped'])
  // A tool that does not heed its signal must not keep the process.
  process.exit()
}

// A log or an index that is away now is no reason to stop.
const logSkippedCheck = (error: unknown) => log.warn?.({}, `waiting tasks were not looked at: ${textOf(error)}`)

/** `tidings dev` speaks to its child by a channel, which also ends with the parent. */
function parentGoneSignal(): AbortSignal {
  const gone = new AbortController()
  process.once('disconnect', () => gone.abort())
  // It must not keep a process that could not start.
  process.channel?.unref()
  return gone.signal
}

/** The roles that are named, in their usual order; all where none is. @throws E_USAGE */
function parseRoles(only: string | undefined): readonly Role[] {
  if (only === undefined) return roles
  const named = only.split(',').map(each => each.trim())
  const unknown = named.find(each => !roles.some(role => role === each))
  if (unknown !== undefined)
    throw new TidingsError(
      'E_USAGE',
      `unknown role "${unknown}" in --only: expected ${roles.join(', ')}${didYouMean(unknown, roles)}`,
    )
  return roles.filter(role => named.includes(role))
}

function waitingRecord({ error, address }: BrokerWait) {
  return { event: 'waiting', pid: process.pid, error, ...(address && { addresses: [address] }) }
}

function waitingText({ error, address }: BrokerWait): string[] {
  return [
    `${styleText('yellow', '●')} waits for the log: ${error.message}`,
    dim(`  ${error.next}${address ? ` ${address}/health says when it goes on.` : ''}`),
  ]
}

function readyRecord(app: App, { addresses, durability, warnings }: RunningApp, hosted: readonly Role[]) {
  const { home } = environment()
  const told = { roles: hosted, addresses, durability, warnings }
  return { event: 'ready', app: app.name, pid: process.pid, home, ...told }
}

function readyText(app: App, { addresses, durability, warnings }: RunningApp, hosted: readonly Role[]): string[] {
  const others = roles.filter(role => !hosted.includes(role))
  const role = others.length === 0 ? 'runs' : `runs as ${hosted.join(', ')}`
  const parts = hosted.flatMap(each => componentsOf(app)[each])
  const away = others.flatMap(each => componentsOf(app)[each])
  return [
    `${styleText('green', '●')} ${styleText('bold', app.name)} ${role}: ${parts.join(', ')}`,
    ...(others.length === 0 ? [] : [dim(`  not here, other workers must: ${away.join(', ')}`)]),
    ...addresses.map(address => `  ${address}`),
    `  ${shownLog(environment())}: ${durabilityText(durability)}`,
    ...warnings.flatMap(({ code, message }) =>
      code === 'durability' ? [] : [`  ${styleText('yellow', '!')} ${message}`],
    ),
  ]
}

/** What a worker runs in each role. */
const componentsOf = ({ agents, workflows, tools, models, triggers }: App): Record<Role, string[]> => ({
  agents: [count(agents.length, 'agent'), ...(workflows.length > 0 ? [count(workflows.length, 'workflow')] : [])],
  tools: [count(tools.length, 'tool')],
  models: [count(models.length, 'model')],
  gateway: ['the gateway'],
  triggers: triggers.length > 0 ? [count(triggers.length, 'trigger')] : [],
})
