import { styleText } from 'node:util'
import { log } from '../bus/telemetry/log.ts'
import { textOf, TidingsError } from '../errors.ts'
import type { App } from '../runtime/app.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { roles, start, type Role, type Running } from '../runtime/start.ts'
import type { Waiting } from '../runtime/surely.ts'
import { count, dim } from '../trace/text.ts'
import { sayUnfit } from './fit.ts'
import { findApp, loadApp } from './load-app.ts'
import { answer, untilAsked, type Globals } from './out.ts'
import { durabilityText } from './status.ts'

export interface RunOptions extends Globals {
  only?: string
}

// The process lives until it is asked to end, also when the app has nothing open that would keep it.
const longest = 2 ** 31 - 1

/** `tidings run [APP]` */
export async function run(path: string | undefined, options: RunOptions): Promise<void> {
  const asked = AbortSignal.any([untilAsked(), untilParentIsGone()])
  const only = rolesOf(options.only)
  const { app, module } = await loadApp(findApp(path))
  const waiting: Promise<void>[] = []
  const onWaiting = (found: Waiting) => void waiting.push(answer(options, waitingRecord(found), waitingText(found)))
  const running = await start(app, { module, signal: asked, onWaiting, ...(only && { only }) }).catch(async error => {
    if (!asked.aborted || waiting.length === 0) throw error
  })
  await Promise.all(waiting)
  if (!running) return answer(options, { event: 'stopped' }, ['stopped'])
  await answer(options, readyRecord(app, running), readyText(app, running))
  const looked =
    only?.includes('agents') === false ? undefined : sayUnfit(running.bus, app, options, asked).catch(unlooked)
  const alive = setInterval(() => {}, longest)
  if (!asked.aborted) await new Promise(resolve => asked.addEventListener('abort', resolve))
  clearInterval(alive)
  await looked
  await answer(options, { event: 'stopping' }, [dim('ending what is under way; once more to stop at once')])
  await running.stop()
  await answer(options, { event: 'stopped' }, ['stopped'])
  // A tool that does not heed its signal must not keep the process.
  process.exit()
}

// A log or an index that is away now is no reason to stop.
const unlooked = (error: unknown) => log.warn?.({}, `waiting tasks were not looked at: ${textOf(error)}`)

/** `tidings dev` speaks to its child by a channel, which also ends with the parent. */
function untilParentIsGone(): AbortSignal {
  const gone = new AbortController()
  process.once('disconnect', () => gone.abort())
  // It must not keep a process that could not start.
  process.channel?.unref()
  return gone.signal
}

function rolesOf(only: string | undefined): Role[] | undefined {
  if (only === undefined) return undefined
  return only.split(',').map(each => {
    const role = roles.find(known => known === each.trim())
    if (!role) throw new TidingsError('E_USAGE', `--only ${each.trim()}: there is ${roles.join(', ')}`)
    return role
  })
}

function waitingRecord({ error, address }: Waiting) {
  return { event: 'waiting', pid: process.pid, error, ...(address && { addresses: [address] }) }
}

function waitingText({ error, address }: Waiting): string[] {
  return [
    `${styleText('yellow', '●')} waits for the log: ${error.message}`,
    dim(`  ${error.next}${address ? ` ${address}/health says when it goes on.` : ''}`),
  ]
}

function readyRecord(app: App, { addresses, durability, warnings }: Running) {
  return { event: 'ready', app: app.name, pid: process.pid, home: environment().home, addresses, durability, warnings }
}

function readyText(app: App, { addresses, durability, warnings }: Running): string[] {
  const parts = [
    count(app.agents.length, 'agent'),
    ...(app.workflows.length > 0 ? [count(app.workflows.length, 'workflow')] : []),
    count(app.tools.length, 'tool'),
    count(app.models.length, 'model'),
  ]
  return [
    `${styleText('green', '●')} ${styleText('bold', app.name)} runs: ${parts.join(', ')}`,
    ...addresses.map(address => `  ${address}`),
    `  ${shownLog(environment())}: ${durabilityText(durability)}`,
    ...warnings.filter(text => !text.includes(durability.detail)).map(text => `  ${styleText('yellow', '!')} ${text}`),
  ]
}
