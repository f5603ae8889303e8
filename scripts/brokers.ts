/** Says which brokers the tests run against. With TIDINGS_REQUIRE_BROKERS set, a missing one is a failure. */
import { DatabaseSync } from 'node:sqlite'

interface Broker {
  name: string
  where: string
  /** Asks the broker itself. */
  version(): Promise<string> | string
}

const brokers: Broker[] = [
  {
    name: 'sqlite',
    where: `embedded, node:sqlite of Node ${process.versions.node}`,
    version: () => String(new DatabaseSync(':memory:').prepare('select sqlite_version() as version').get()?.version),
  },
]

console.log('broker    version   where')
for (const { name, where, version } of brokers) {
  try {
    console.log(name.padEnd(10) + (await version()).padEnd(10) + where)
  } catch (error) {
    console.log(`${name.padEnd(10)}missing   ${error instanceof Error ? error.message : String(error)}`)
    if (process.env.TIDINGS_REQUIRE_BROKERS) process.exitCode = 1
  }
}
