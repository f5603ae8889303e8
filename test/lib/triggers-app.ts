import { join } from 'node:path'
import { app } from '../../src/runtime/app.ts'
import { files } from '../../src/triggers/files/files.ts'
import { schedule } from '../../src/triggers/schedule/schedule.ts'
import type { Trigger } from '../../src/triggers/trigger.ts'

/** Has no sample to send. */
const feed: Trigger = {
  kind: 'trigger',
  name: 'feed',
  types: ['row.added'],
  start: async () => ({ address: 'feed:rows', stop: async () => {} }),
}

/** Five seconds a second, the same in all processes of a test, and never ahead of the machine. */
const began = Number(process.env.TRIGGERS_BEGAN)
const now = () => began - 3_600_000 + 5 * (Date.now() - began)

export default app({
  name: 'triggers',
  use: [
    schedule('tick', { every: '1s', catchUp: 'all' }, { now, pollIntervalMs: 20 }),
    schedule('nightly', { cron: '0 3 * * *', zone: 'Europe/Berlin' }),
    files('drop', { folder: join(process.env.TIDINGS_HOME!, 'drop'), match: '*.csv', stable: '100ms' }),
    feed,
  ],
})
