import { writeSync } from 'node:fs'
import { Bus } from '../../src/bus/bus.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'

/** Publishes one event after another, and writes a line to standard output as each publish resolves or rejects. */
const [home, count] = process.argv.slice(2) as [string, string]
const driver = await openSqlite({ home })
const bus = new Bus(driver)
writeSync(1, 'OPENED\n')
for (let i = 0; i < Number(count); i++) {
  const outcome = await bus.publish({ type: 'order.paid', data: { i } }).then(
    () => 'RESOLVED',
    (error: { code?: string }) => `REJECTED ${error.code}`,
  )
  writeSync(1, `${outcome} ${i}\n`)
}
process.exit(0)
