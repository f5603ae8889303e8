import type { Bus } from '../bus/bus.ts'
import type { Recorded } from './parallel.ts'
import { whole } from './order.ts'
import { taskOf } from './histories.ts'

/**
 * The journals of tasks, as a worker would go on with them: the snapshot where there is one, then the later turns.
 * Positions count from 1.
 */
export async function* journals(bus: Bus, tasks: readonly string[]): AsyncGenerator<Recorded> {
  let position = 0
  for (const task of tasks) {
    const { snapshot, records } = await bus.driver.journal(task)
    if (snapshot) yield { task, snapshot: snapshot.state }
    for (const event of records)
      if (taskOf(event) === task) yield { position: ++position, event: await whole(bus, event) }
  }
}
