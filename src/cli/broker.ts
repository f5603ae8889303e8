import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { styleText } from 'node:util'
import { settledOrAborted } from '../bus/abort.ts'
import { makePrivateFolder } from '../bus/private-files.ts'
import { TidingsError } from '../errors.ts'
import { environment } from '../runtime/environment.ts'
import { findNatsServer, type NatsServer } from '../testing/nats/find.ts'
import { startNats, type Nats } from '../testing/nats/start.ts'
import { dim } from '../trace/paint.ts'
import { printResult, shutdownSignal, usageError, type GlobalOptions } from './output.ts'

const monitorOffset = 4_000

export interface BrokerOptions extends GlobalOptions {
  port: string
  syncAlways: boolean
}

export async function natsCommand(options: BrokerOptions): Promise<void> {
  const port = parsePort(options.port)
  const server = await natsServer()
  // Only now: during a build, the signal ends the process.
  const shutdown = shutdownSignal()
  const dataDir = join(environment().home, 'nats')
  // The server creates its files with the umask of this process.
  process.umask(0o077)
  makePrivateFolder(dataDir)
  using _lock = lockFolder(dataDir)
  const { syncAlways } = options
  // The usual distance (4222 and 8222), so that the address survives a restart.
  const monitorPort = port + monitorOffset <= 65_535 ? port + monitorOffset : port - monitorOffset
  const running = await startNats({ path: server.path, port, monitorPort, dataDir, syncAlways })
  const { url, monitorUrl, pid } = running
  const bus = `TIDINGS_BUS='${url}/tidings?monitor=${monitorUrl}'`
  const { path, version, source } = server
  const record = { event: 'ready', url, bus, pid, version, path, source, data: dataDir, syncAlways }
  await printResult(options, record, [
    `${styleText('green', '●')} nats-server ${version} runs (${source}: ${path})`,
    `  ${dataDir}: ${syncText(syncAlways)}`,
    '',
    `  ${bus}`,
  ])
  await untilStopped(running, shutdown)
  await printResult(options, { event: 'stopping' }, [dim('stopping; press Ctrl-C again to stop at once')])
  await running.stop()
  await printResult(options, { event: 'stopped' }, ['stopped'])
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port <= 65_535) return port
  throw usageError(`--port "${text}" is not a port: expected a number from 1 to 65535`)
}

async function natsServer(): Promise<NatsServer> {
  // On standard error, because programs read standard output.
  const onBuild = (text: string) => void process.stderr.write(`${text}\n`)
  const found = await findNatsServer({ onBuild })
  if ('path' in found) return found
  throw new TidingsError('E_BROKER_MISSING', `no nats-server was found: ${found.reason}`)
}

/** nats-server does not prevent two servers from using one folder. The system releases this lock when the process ends. */
function lockFolder(folder: string): Disposable {
  const file = new DatabaseSync(join(folder, 'lock.db'))
  try {
    file.exec('begin exclusive')
  } catch (cause) {
    throw new TidingsError(
      'E_BROKER_FAILED',
      `another "tidings broker nats" uses "${folder}". Stop it, or choose another data folder with --home`,
      { cause },
    )
  }
  return { [Symbol.dispose]: () => file.close() }
}

const syncText = (always: boolean) =>
  always
    ? 'a publish that resolved survives a power cut (sync_interval: always)'
    : `${styleText(['bold', 'yellow'], 'A PUBLISH THAT RESOLVED SURVIVES A CRASH, NOT A POWER CUT')} (synced every two minutes)`

/** Resolves at the signal. @throws E_BROKER_FAILED if the server ends first. */
async function untilStopped(running: Nats, shutdown: AbortSignal): Promise<void> {
  await settledOrAborted(running.ended, shutdown)
  if (!shutdown.aborted)
    throw new TidingsError('E_BROKER_FAILED', `nats-server ended unexpectedly:\n${await running.log()}`)
}
