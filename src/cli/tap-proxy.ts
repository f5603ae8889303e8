import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { environment, shownLog } from '../runtime/environment.ts'
import type { ForwardListener } from '../taps/forward.ts'
import { startTapProxy } from '../taps/proxy.ts'
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
}

/** A tap that sees what a reverse proxy forwards. */
export interface ProxyTap {
  observe(incoming: IncomingMessage): ForwardListener
  /** Resolves when all ends have been passed to the recorder. */
  stop(): Promise<void>
}

/** Forwards to an upstream until this process is asked to stop. */
export async function runTapProxy(options: TapProxyOptions, tapOn: (recorder: Recorder) => ProxyTap): Promise<void> {
  const shutdown = shutdownSignal()
  const { name, host } = options
  const upstream = upstreamOf(options.upstream)
  const log = await tapLog(name, options.app)
  const tap = tapOn(log.recorder)
  const proxy = await startTapProxy({
    upstream,
    port: portOf(options.port),
    host,
    observe: incoming => tap.observe(incoming),
  })
  await log.start()
  const url = `${proxy.url}${upstream.basePath}`
  const record = { event: 'ready', tap: name, url, upstream: upstream.url.href, log: shownLog(environment()) }
  await printResult(options, record, [`tap "${name}": ${url} → ${upstream.url.href}, recorded on ${record.log}`])
  if (!shutdown.aborted) await once(shutdown, 'abort')
  await proxy.stop()
  await tap.stop()
  await log.close()
  reportUnrecorded(log.recorder.status)
  await printResult(options, { event: 'stopped', ...log.recorder.status }, ['stopped'])
  process.exit()
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw usageError(`--port "${text}" is not a port: expected a number from 0 to 65535`)
}
