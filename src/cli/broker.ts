import { join } from 'node:path'
import { styleText } from 'node:util'
import { makePrivateFolder } from '../bus/private-files.ts'
import { TidingsError } from '../errors.ts'
import { environment } from '../runtime/environment.ts'
import { findNatsServer, type NatsServer } from '../testing/nats/find.ts'
import { startNats } from '../testing/nats/start.ts'
import { dim } from '../trace/paint.ts'
import { lockFolder, losesAtPowerCut, parsePort, untilStopped } from './broker-process.ts'
import { printResult, shutdownSignal, type GlobalOptions } from './output.ts'

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
  using _lock = lockFolder(dataDir, 'tidings broker nats')
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
  await untilStopped([running], 'nats-server', shutdown)
  await printResult(options, { event: 'stopping' }, [dim('stopping; press Ctrl-C again to stop at once')])
  await running.stop()
  await printResult(options, { event: 'stopped' }, ['stopped'])
}

async function natsServer(): Promise<NatsServer> {
  // On standard error, because programs read standard output.
  const onBuild = (text: string) => void process.stderr.write(`${text}\n`)
  const found = await findNatsServer({ onBuild })
  if ('path' in found) return found
  throw new TidingsError('E_BROKER_MISSING', `no nats-server was found: ${found.reason}`)
}

const syncText = (always: boolean) =>
  always
    ? 'a publish that resolved survives a power cut (sync_interval: always)'
    : losesAtPowerCut('synced every two minutes')
