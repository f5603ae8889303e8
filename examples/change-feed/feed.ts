import type { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import type { Trigger } from '../../src/index.ts'

/** Publishes the changes of a database. It reads and empties the table of changes in `shop.ts`. */
export const feed = (name: string, shop: DatabaseSync): Trigger => ({
  kind: 'trigger',
  name,
  types: ['order.changed'],
  async start(bus) {
    const stopped = new AbortController()
    const drain = async () => {
      for (const row of shop.prepare('SELECT id, change FROM changes ORDER BY position').all()) {
        const { id, change } = row as { id: string; change: string }
        const data: unknown = JSON.parse(change)
        await bus.publish({ id: `${name}:${id}`, type: 'order.changed', source: `/triggers/${name}`, data })
        shop.prepare('DELETE FROM changes WHERE id = ?').run(id)
      }
    }
    const drainAgain = async () => {
      for (; !stopped.signal.aborted; await setTimeout(100)) await drain().catch(error => process.emitWarning(error))
    }
    const running = drainAgain()
    return { address: `sqlite:${shop.location()}`, stop: () => (stopped.abort(), running) }
  },
})
