import { Pauses } from '../../src/bus/pauses.ts'
import { startLogging } from '../../src/runtime/logging.ts'
import { publishWorkflows } from '../../src/tasks/definitions.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import { ToolStation } from '../../src/tools/station.ts'
import { openLog } from './log.ts'
import { apps, tools } from './app.ts'

/* One of the workers that are killed: `node worker.ts LOG`. */

// The process that started it is gone.
process.once('disconnect', () => process.exit())

await startLogging()
const bus = await openLog(process.argv[2]!)
const pauses = new Pauses(bus)
await pauses.start()
for (const { group, programs, calls } of apps) {
  await publishWorkflows(bus, programs)
  const budget = { ...defaultBudget, calls }
  await new Engine({ bus, group, programs, maxHops: 8, budget, pauses }).start()
}
await new ToolStation({ bus, tools, pauses }).start()
process.send?.('ready')
