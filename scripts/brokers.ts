/**
 * Prints the brokers, the telemetry collector and the browser that the tests use, and provides them. A missing one fails with TIDINGS_REQUIRE_BROKERS set;
 * otherwise its tests are skipped.
 */
import { DatabaseSync } from 'node:sqlite'
import { findKafka } from '../src/testing/kafka/find.ts'
import { startFiles } from '../src/testing/kafka/start-files.ts'
import { findNatsServer } from '../src/testing/nats/find.ts'
import { findApiTools } from '../test/lib/api-tools.ts'
import { findBrowser } from '../test/lib/browser-find.ts'
import { givenKafka } from '../test/lib/kafka-given.ts'
import { findMosquitto } from '../test/lib/mosquitto-find.ts'
import { givenNats } from '../test/lib/nats-given.ts'
import { findCollector } from '../test/telemetry/lib/build.ts'

type Row = { version: string; where: string } | { reason: string }

const brokers: Record<string, () => Row | Promise<Row>> = {
  sqlite: () => ({
    version: String(new DatabaseSync(':memory:').prepare('select sqlite_version() as version').get()?.version),
    where: `embedded, node:sqlite of Node ${process.versions.node}`,
  }),
  // Tests that kill a server start their own; the others can use a running one.
  nats: async () => {
    const given = await givenNats()
    const found = await findNatsServer({ onBuild: text => console.log(text) })
    if ('reason' in found) return found
    const own = `${found.path} (${found.source})`
    if (!given) return { version: found.version, where: own }
    return 'reason' in given ? given : { version: given.version, where: `${given.url} (TIDINGS_NATS_URL), and ${own}` }
  },
  kafka: async () => {
    const given = await givenKafka()
    const found = await findKafka({ onDownload: text => console.log(text) })
    if ('reason' in found) return found
    await startFiles(found)
    const own = `${found.path} (${found.source}), Java ${found.javaVersion}`
    if (!given) return { version: found.version, where: own }
    return 'reason' in given
      ? given
      : { version: found.version, where: `${given.bootstrap} (TIDINGS_KAFKA_BOOTSTRAP), and ${own}` }
  },
  mosquitto: async () => {
    const found = await findMosquitto()
    return 'reason' in found ? found : { version: found.version, where: `${found.broker} (for the MQTT trigger)` }
  },
  otlp: async () => {
    const found = await findCollector(text => console.log(text))
    return 'reason' in found ? found : { version: found.version, where: `${found.path} (OpenTelemetry collector)` }
  },
  api: async () => {
    const found = await findApiTools(text => console.log(text))
    return 'reason' in found
      ? found
      : { version: found.version.split('+')[0]!, where: `${found.folder} (validators of API documents)` }
  },
  browser: async () => {
    const found = await findBrowser(text => console.log(text))
    return 'reason' in found ? found : { version: found.version, where: `${found.path} (${found.source})` }
  },
}

const rows = await Promise.all(Object.entries(brokers).map(async ([name, row]) => ({ name, ...(await row()) })))
console.log('broker    version       where')
for (const row of rows) {
  const missing = 'reason' in row
  console.log(row.name.padEnd(10) + (missing ? `missing       ${row.reason}` : row.version.padEnd(14) + row.where))
  if (missing && process.env.TIDINGS_REQUIRE_BROKERS) process.exitCode = 1
}
