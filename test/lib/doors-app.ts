import { join } from 'node:path'
import { app } from '../../src/runtime/app.ts'
import { files } from '../../src/triggers/files/files.ts'
import { schedule } from '../../src/triggers/schedule/schedule.ts'
import type { Trigger } from '../../src/triggers/trigger.ts'

/** Has nothing to knock with. */
const feed: Trigger = {
  kind: 'trigger',
  name: 'feed',
  types: ['row.added'],
  start: async () => ({ address: 'feed:rows', stop: async () => {} }),
}

export default app({
  name: 'doors',
  use: [
    schedule('tick', { every: '1s', catchUp: 'all' }),
    schedule('nightly', { cron: '0 3 * * *', zone: 'Europe/Berlin' }),
    files('drop', { folder: join(process.env.TIDINGS_HOME!, 'drop'), match: '*.csv', stable: '100ms' }),
    feed,
  ],
})
