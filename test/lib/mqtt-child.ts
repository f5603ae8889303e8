import { writeSync } from 'node:fs'
import { Bus } from '../../src/bus/bus.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { mqtt } from '../../src/triggers/mqtt/mqtt.ts'

/** Takes messages of `load/#` until it is killed, and says when it begins. */
const [home, url, version] = process.argv.slice(2) as [string, string, string]
const bus = new Bus(await openSqlite({ home }))
await mqtt({
  clientId: 'killed',
  url,
  topics: ['load/#'],
  version: version === '5' ? 5 : '3.1.1',
  qos: 2,
}).start(bus)
writeSync(1, 'STARTED\n')
