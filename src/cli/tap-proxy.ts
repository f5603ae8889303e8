import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { isLoopback } from '../http/listen.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import type { ForwardListener } from '../taps/forward.ts'
import { startTapProxy } from '../taps/proxy.ts'
import { milliseconds } from '../tasks/duration.ts'
import type { Recorder } from '../taps/recorder.ts'
import { upstreamOf } from '../taps/upstream.ts'
import { printResult, shutdownSignal, usageError, type GlobalOptions } from './output.ts'
import { tapLog, reportUnrecorded } from './tap-log.ts'

export interface TapProxyOptions extends GlobalOptions {
  name: string
  upstream: string
  port: string
  host?: string
  app?: string
  userHeader?: string
  tenantHeader?: string
  allowRemote?: boolean
}

/** A tap that sees what a reverse proxy forwards. */
export interface ProxyTap {
  observe(incoming: IncomingMessage): ForwardListener
  /** Resolves when all ends have been passed to the recorder. */
  stop(): Promise<void>
}

/** Forwards to an upstream until this process is asked to stop. `setting`: the variable by which clients find the tap. */
export async function runTapProxy(
  options: TapProxyOptions,
  tapOn: (recorder: Recorder) => ProxyTap,
  setting?: string,
): Promise<void> {
  const shutdown = shutdownSignal()
  const { name, host } = options
  assertLocal(options)
  const upstream = upstreamOf(options.upstream)
  const log = await tapLog(name, options.app)
  const tap = tapOn(log.recorder)
  // Before it listens: the first requests may continue conversations that are on the log.
  await log.start()
  const proxy = await startTapProxy({
    upstream,
    port: portOf(options.port),
    host,
    observe: incoming => tap.observe(incoming),
    status: () => log.recorder.status,
  }).catch(async error => {
    await log.close()
    throw error
  })
  const url = `${proxy.url}${upstream.basePath}`
  const about = { tap: name, url, upstream: upstream.url.href, log: shownLog(environment()) }
  const record = { event: 'ready', ...(setting !== undefined && { set: { [setting]: url } }), ...about }
  const line = `tap "${name}": ${url} → ${upstream.url.href}, recorded on ${record.log}`
  await printResult(options, record, setting === undefined ? [line] : [`export ${setting}=${url}`, line])
  if (!shutdown.aborted) await once(shutdown, 'abort')
  await proxy.stop(AbortSignal.timeout(milliseconds(environment().stopWithin)))
  await tap.stop()
  await log.close()
  reportUnrecorded(log.recorder.status)
  await printResult(options, { event: 'stopped', ...log.recorder.status }, ['stopped'])
  process.exit()
}

/** @throws E_USAGE */
function assertLocal({ host, allowRemote }: TapProxyOptions): void {
  if (host !== undefined && !isLoopback(host) && !allowRemote)
    throw usageError(
      `--host ${host} lets other machines use the tap, which asks nobody who they are: keep 127.0.0.1, or add --allow-remote`,
    )
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw usageError(`--port "${text}" is not a port: expected a number from 0 to 65535`)
}
