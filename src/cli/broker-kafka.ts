import { join } from 'node:path'
import { styleText } from 'node:util'
import { makePrivateFolder } from '../bus/private-files.ts'
import { TidingsError } from '../errors.ts'
import { environment } from '../runtime/environment.ts'
import { startKafkaCluster } from '../testing/kafka/cluster.ts'
import { findKafka, type KafkaServer } from '../testing/kafka/find.ts'
import { dim } from '../trace/paint.ts'
import { lockFolder, losesAtPowerCut, parsePort, untilStopped } from './broker-process.ts'
import { printResult, shutdownSignal, usageError, type GlobalOptions } from './output.ts'

const controllerOffset = 1_000

export interface KafkaBrokerOptions extends GlobalOptions {
  port: string
  servers: '1' | '3'
  syncAlways?: boolean
}

export async function kafkaCommand(options: KafkaBrokerOptions): Promise<void> {
  const port = parsePort(options.port)
  const count = Number(options.servers)
  if (port + count + controllerOffset > 65_536)
    throw usageError(`--port ${port} leaves no room for the controller's port`)
  const server = await kafkaServer()
  // Only now: during a download, the signal ends the process.
  const shutdown = shutdownSignal()
  // The number of brokers is part of their data.
  const dataDir = join(environment().home, count === 1 ? 'kafka' : `kafka-${count}`)
  // The brokers create their files with the umask of this process.
  process.umask(0o077)
  makePrivateFolder(dataDir)
  using _lock = lockFolder(dataDir, 'tidings broker kafka')
  const { syncAlways = false } = options
  const indexes = Array.from({ length: count }, (_, i) => i)
  const running = await startKafkaCluster(count, {
    server,
    syncAlways,
    heap: '768m',
    isOptimized: true,
    // The usual distance, so that the address and the data survive a restart.
    ports: indexes.map(i => ({ port: port + i, controllerPort: port + i + controllerOffset })),
    dataDirs: indexes.map(i => join(dataDir, String(i + 1))),
  })
  const bus = `TIDINGS_BUS='kafka://${running.bootstrap}/tidings'`
  const { version, source, path } = server
  const pids = running.nodes.map(({ pid }) => pid)
  const record = {
    event: 'ready',
    bootstrap: running.bootstrap,
    bus,
    pids,
    version,
    path,
    source,
    data: dataDir,
    syncAlways,
  }
  await printResult(options, record, [
    `${styleText('green', '●')} Kafka ${version} runs, ${count === 1 ? 'one broker' : `${count} brokers`} (${source}: ${path})`,
    `  ${dataDir}: ${survivalText(count, syncAlways)}`,
    '',
    `  ${bus}`,
  ])
  await untilStopped(running.nodes, 'Kafka', shutdown)
  await printResult(options, { event: 'stopping' }, [dim('stopping; press Ctrl-C again to stop at once')])
  await running.stop()
  await printResult(options, { event: 'stopped' }, ['stopped'])
}

async function kafkaServer(): Promise<KafkaServer> {
  // On standard error, because programs read standard output.
  const onDownload = (text: string) => void process.stderr.write(`${text}\n`)
  const found = await findKafka({ onDownload })
  if ('path' in found) return found
  throw new TidingsError('E_BROKER_MISSING', `no Kafka was found: ${found.reason}`)
}

function survivalText(count: number, syncAlways: boolean): string {
  const copies = count === 1 ? '' : ', three copies, two of them before it is acknowledged'
  return syncAlways
    ? `each record is synced before it is acknowledged${copies}`
    : losesAtPowerCut(`synced later by the operating system${copies}; --sync-always syncs each record`)
}
